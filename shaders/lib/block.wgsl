// uses: params grid lanes vectors
// A block is CHANNEL_LANES neighbouring channels whose values in one row of the tensor (one index of `outer`) are
// whole vectors, `run` of them. The vectors of a block are numbered row by row; invocations take every `stride`-th.
// With more than one channel in a block `stride` is a multiple of `run`: an invocation meets the same place of the
// run again and again, so that each lane of its vectors stays with one channel.

struct Walk {
    // Number of the vector in its block.
    index: u32,
    // Where it lies in the tensor.
    address: u32,
    // Its place in the run.
    position: u32,
}

// The first vector of an invocation in the share begin..end of a block; its index is `end` where it has none.
fn walk_from(block: u32, begin: u32, end: u32, local: u32) -> Walk {
    let index = begin + local;
    let row = index / params.run;
    let place = index - row * params.run;
    // The last block of a row may be narrower than the others: beyond it nothing is read, of no channel either.
    let inside = block * params.run + place < params.row;
    let taken = local < params.stride && inside;
    let position = select(0u, place, inside);
    let address = params.first + row * params.row + block * params.run + position;
    return Walk(select(end, index, taken), address, position);
}

fn next(at: Walk) -> Walk {
    var to = Walk(at.index + params.stride, at.address + params.step, at.position + params.step_positions);
    if (to.position >= params.run) {
        to.position -= params.run;
        to.address += params.row - params.run;
    }
    return to;
}

// Whether all of the next ITEMS vectors of an invocation lie before `end`.
fn whole(at: Walk, end: u32) -> bool {
    return at.index + (ITEMS - 1u) * params.stride < end;
}

// Values of one channel in so many vectors of its block.
fn values_in(vectors: u32) -> u32 {
    return vectors * LANES / CHANNEL_LANES;
}
