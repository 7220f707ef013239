// uses: block coefficients gather
// A block of several channels: which one a lane is of depends on its vector's place in the run.

fn channel_in_block(value: u32) -> u32 {
    return value / params.inner;
}

// The coefficients of four lanes, the first of which is the value number `value` of the run.
fn first_of_four(block: u32, value: u32) -> mat4x4<f32> {
    return transpose(mat4x4<f32>(
        first_of(block, channel_in_block(value)),
        first_of(block, channel_in_block(value + 1u)),
        first_of(block, channel_in_block(value + 2u)),
        first_of(block, channel_in_block(value + 3u)),
    ));
}

fn second_of_four(block: u32, value: u32) -> mat4x2<f32> {
    return mat4x2<f32>(
        second_of(block, channel_in_block(value)),
        second_of(block, channel_in_block(value + 1u)),
        second_of(block, channel_in_block(value + 2u)),
        second_of(block, channel_in_block(value + 3u)),
    );
}
