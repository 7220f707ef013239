// uses: params grid sums_loop partial_sums share scale saved
// binds: saved read
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
    leave_sums(me, s, all.dy, all.dy_centered);
}
