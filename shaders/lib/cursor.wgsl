// uses: params
// Walks the values of one channel in steps of a fixed length, with a division at the start alone.

struct Cursor {
    // Index into the tensor.
    index: u32,
    // Position inside the run of `inner` values that are contiguous.
    position: u32,
}

struct Step {
    index: u32,
    position: u32,
}

// The value number `value` of 0..count of the channel.
fn cursor_at(channel: u32, value: u32) -> Cursor {
    let outer = value / params.inner;
    let position = value - outer * params.inner;
    return Cursor((outer * params.channels + channel) * params.inner + position, position);
}

fn step_of(values: u32) -> Step {
    let outer = values / params.inner;
    let position = values - outer * params.inner;
    return Step(outer * params.channels * params.inner + position, position);
}

fn advance(at: Cursor, step: Step) -> Cursor {
    var next = Cursor(at.index + step.index, at.position + step.position);
    if (next.position >= params.inner) {
        next.position -= params.inner;
        next.index += (params.channels - 1u) * params.inner;
    }
    return next;
}
