// uses: params grid elements cursor lanes reduce moments
// binds: x read, partial_moments read_write
// Algorithm 1 lines 1 and 2: the moments of one chunk of a channel, in two passes over the chunk.
// The first finds its mean, the second sums the deviations from it: nothing cancels, whatever the data.
// grid: chunk by group of CHANNEL_LANES channels
// memory: x once (the second pass finds the chunk in the cache)

// Sums (x - origin) and (x - origin)^2 over this invocation's share of the values begin..end.
fn sum_deviations(channel: u32, begin: u32, end: u32, origin: f32) -> vec2<f32> {
    var sums = vec2<f32>(0.0);
    let step = step_of(VALUE_LANES);
    var at = cursor_at(channel, begin);
    var value = begin;
    while (value < end) {
        var block = vec2<f32>(0.0);
        for (var k = 0u; k < BLOCK && value < end; k += 1u) {
            let deviation = value_at(x[params.first + at.index / WORD_VALUES], at.index) - origin;
            block += vec2<f32>(deviation, deviation * deviation);
            at = advance(at, step);
            value += VALUE_LANES;
        }
        sums += block;
    }
    return sums;
}

@compute @workgroup_size(WORKGROUP)
fn train_moments(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, me: Invocation) {
    let group = workgroup_index(id, grid);
    if (group >= params.workgroups) {
        return;
    }
    let tiles = (params.channels + CHANNEL_LANES - 1u) / CHANNEL_LANES;
    let part = group / tiles;
    let channel = (group - part * tiles) * CHANNEL_LANES + me.local % CHANNEL_LANES;
    let inside = channel < params.channels;
    let begin = part * params.chunk;
    let end = min(begin + params.chunk, params.count);
    let count = f32(end - begin);
    // Channels beyond the last have no share, but take part in the barriers.
    let first = select(end, begin + me.local / CHANNEL_LANES, inside);

    var origin = 0.0;
    if (inside) {
        let index = cursor_at(channel, begin).index;
        origin = value_at(x[params.first + index / WORD_VALUES], index);
    }
    if (!is_finite(origin)) {
        origin = 0.0;
    }
    let pivot = origin + reduce(me, sum_deviations(channel, first, end, origin)).x / count;
    let sums = reduce(me, sum_deviations(channel, first, end, pivot));

    if (inside && me.local < CHANNEL_LANES) {
        // The pivot is the mean rounded to f32: the difference is what that lost.
        let difference = select(0.0, sums.x / count, is_finite(pivot));
        // NaN and infinity stay what they are: infinity less infinity is NaN, and compilers fold a
        // float comparison into a max that drops NaN. Rounding leaves nothing finite below 0.
        var m2 = sums.y;
        if (is_finite(m2)) {
            m2 = max(m2 - sums.x * difference, 0.0);
        }
        let partial = params.first_partial + part * params.all_channels + channel;
        partial_moments[partial] = Moments(end - begin, pivot, difference, m2);
    }
}
