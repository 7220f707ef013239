// uses: params grid sums_loop channel_sums share scale saved gradient_sums
// binds: saved read, partial_sums read_write
// Over one part of a block: sum of the gradient by z, and of it * (x - mean), the two sums that all gradients need.
// grid: part by block
// memory: x once, dy once

fn first_of(block: u32, channel_in_block: u32) -> vec4<f32> {
    let s = saved[params.first_channel + block * CHANNEL_LANES + channel_in_block];
    return vec4<f32>(s.pivot, s.difference, 0.0, 0.0);
}

fn second_of(block: u32, channel_in_block: u32) -> vec2<f32> {
    let channel = params.first_channel + block * CHANNEL_LANES + channel_in_block;
    return scale_of(channel, saved[channel].invstd);
}

@compute @workgroup_size(WORKGROUP)
fn grad_block_sums(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, me: Invocation) {
    let group = workgroup_index(id, grid);
    if (group >= params.workgroups) {
        return;
    }
    let s = share_of(group);
    let at = walk_from(s.block, s.begin, s.end, me.local);
    let all = take_sums(at, s.end, coefficients_at(s.block, at.position), shift_at(s.block, at.position));
    let sums = channel_sums(me, all.dy, all.dy_centered);
    let channel = s.block * CHANNEL_LANES + me.local;
    if (me.local < CHANNEL_LANES && channel < params.channels) {
        let partial = params.first_partial + s.part * params.all_channels + channel;
        partial_sums[partial] = GradientSums(values_in(s.end - s.begin), sums.x, sums.y);
    }
}
