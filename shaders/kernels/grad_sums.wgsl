// uses: params grid elements cursor lanes reduce input gradient_source residual upstream_word saved gradient_sums
// binds: saved read, partial_sums read_write
// Over one chunk of a channel: sum of the gradient by z, and of it * (x - mean), the two sums that all gradients need.
// grid: chunk by group of CHANNEL_LANES channels
// memory: x once, dy once

fn sum_gradients(channel: u32, begin: u32, end: u32) -> vec2<f32> {
    var sums = vec2<f32>(0.0);
    if (begin >= end) {
        return sums;
    }
    let s = saved[params.first_channel + channel];
    let step = step_of(VALUE_LANES);
    var at = cursor_at(channel, begin);
    var value = begin;
    while (value < end) {
        var block = vec2<f32>(0.0);
        for (var k = 0u; k < BLOCK && value < end; k += 1u) {
            let word = params.first + at.index / WORD_VALUES;
            let element = value_at(x_at(word), at.index);
            let added = value_at(residual_at(word), at.index);
            let u = upstream_value(params.first_channel + channel, element, value_at(dy_at(word), at.index), added);
            block += vec2<f32>(u, u * centered(element, s));
            at = advance(at, step);
            value += VALUE_LANES;
        }
        sums += block;
    }
    return sums;
}

@compute @workgroup_size(WORKGROUP)
fn grad_sums(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, me: Invocation) {
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
    // Channels beyond the last have no share, but take part in the barriers.
    let first = select(end, begin + me.local / CHANNEL_LANES, inside);
    let sums = reduce(me, sum_gradients(channel, first, end));
    if (inside && me.local < CHANNEL_LANES) {
        let partial = params.first_partial + part * params.all_channels + channel;
        partial_sums[partial] = GradientSums(end - begin, sums.x, sums.y);
    }
}
