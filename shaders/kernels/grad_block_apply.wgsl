// uses: params grid gradient_loop share saved gradient_sums gamma
// binds: saved read, sums read, dx read_write
// dx from the sums of the whole batch.
// grid: part by block, last first: the end of x and dy is what the cache still holds
// memory: x once, dy once, dx once

fn first_of(block: u32, channel_in_block: u32) -> vec4<f32> {
    let channel = params.first_channel + block * CHANNEL_LANES + channel_in_block;
    let s = saved[channel];
    let all = sums[channel];
    let count = f32(max(all.count, 1u));
    return vec4<f32>(s.pivot, s.difference, all.dy / count, s.invstd * (all.dy_centered / count));
}

fn second_of(block: u32, channel_in_block: u32) -> vec2<f32> {
    let channel = params.first_channel + block * CHANNEL_LANES + channel_in_block;
    return vec2<f32>(saved[channel].invstd, gamma_of(channel));
}

@compute @workgroup_size(WORKGROUP)
fn grad_block_apply(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, me: Invocation) {
    let group = workgroup_index(id, grid);
    if (group >= params.workgroups) {
        return;
    }
    let s = share_of(params.workgroups - 1u - group);
    let at = walk_from(s.block, s.begin, s.end, me.local);
    write_gradients(at, s.end, coefficients_at(s.block, at.position), shift_at(s.block, at.position));
}
