// The numbers that differ from layer to layer. Held against `kernel::Params` by tests/shaders.rs.

struct Params {
    // The tensor as [outer, channels, inner].
    channels: u32,
    inner: u32,
    // Values per channel: outer * inner, the paper's m.
    count: u32,
    // Values in the whole tensor.
    len: u32,
    // What one workgroup takes: values of each channel, or vectors of a block.
    chunk: u32,
    // Partial results per channel.
    sets: u32,
    // Workgroups in the grid that have work; the rest only round the grid up.
    workgroups: u32,
    eps: f32,
    // Weight of the new value in the running statistics.
    momentum: f32,
    // The running variance divides by count - correction: 1 unbiased, 0 biased.
    correction: u32,
    // From one item of a flat kernel to the next: channels further on, and positions in `inner`.
    item_channels: u32,
    item_positions: u32,
    // Vectors of a block in one row of the tensor, and of the whole row.
    run: u32,
    row: u32,
    // Vectors of a block in the whole tensor.
    vectors: u32,
    // Blocks in the tensor.
    blocks: u32,
    // Invocations of a workgroup that take vectors of a block.
    stride: u32,
    // From one vector of an invocation to its next: in the tensor, and in the run.
    step: u32,
    step_positions: u32,
    // A slice of a tensor that is too large for one binding: where it begins among the words or vectors that are bound,
    // its first channel, the channels of the whole, and where its partial results begin.
    first: u32,
    first_channel: u32,
    all_channels: u32,
    first_partial: u32,
    // The numbers of the activation.
    low: f32,
    high: f32,
    unused_first: u32,
    unused_second: u32,
    unused_third: u32,
}
