// uses: params grid normalize_loop share gamma beta
// binds: y read_write, running_mean read, running_var read
// Inference, algorithm 2 line 12: y = gamma * (x - mean) / sqrt(var + eps) + beta.
// grid: part by block
// memory: x once, y once

fn first_of(block: u32, channel_in_block: u32) -> vec4<f32> {
    let channel = params.first_channel + block * CHANNEL_LANES + channel_in_block;
    let invstd = inverseSqrt(running_var[channel] + params.eps);
    return vec4<f32>(running_mean[channel], 0.0, invstd, gamma_of(channel));
}

fn second_of(block: u32, channel_in_block: u32) -> vec2<f32> {
    return vec2<f32>(beta_of(params.first_channel + block * CHANNEL_LANES + channel_in_block), 0.0);
}

@compute @workgroup_size(WORKGROUP)
fn infer_block_apply(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, me: Invocation) {
    let group = workgroup_index(id, grid);
    if (group >= params.workgroups) {
        return;
    }
    let s = share_of(group);
    let at = walk_from(s.block, s.begin, s.end, me.local);
    normalize(at, s.end, coefficients_at(s.block, at.position));
}
