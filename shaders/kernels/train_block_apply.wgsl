// uses: params grid normalize_loop share saved gamma beta
// binds: y read_write, saved read
// Algorithm 1 lines 3 and 4: y = gamma * (x - mean) * invstd + beta, with the mean in two parts.
// grid: part by block, last first: the end of x is what the cache still holds
// memory: x once, y once

fn first_of(block: u32, channel_in_block: u32) -> vec4<f32> {
    let channel = params.first_channel + block * CHANNEL_LANES + channel_in_block;
    let s = saved[channel];
    return vec4<f32>(s.pivot, s.difference, s.invstd, gamma_of(channel));
}

fn second_of(block: u32, channel_in_block: u32) -> vec2<f32> {
    return vec2<f32>(beta_of(params.first_channel + block * CHANNEL_LANES + channel_in_block), 0.0);
}

@compute @workgroup_size(WORKGROUP)
fn train_block_apply(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, me: Invocation) {
    let group = workgroup_index(id, grid);
    if (group >= params.workgroups) {
        return;
    }
    let s = share_of(params.workgroups - 1u - group);
    let at = walk_from(s.block, s.begin, s.end, me.local);
    normalize(at, s.end, coefficients_at(s.block, at.position));
}
