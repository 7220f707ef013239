// uses: params grid merge saved running
// binds: saved read_write
// Merges partial moments, saves the statistics and updates the running ones.
// grid: group of CHANNEL_LANES channels
// memory: no tensor

@compute @workgroup_size(WORKGROUP)
fn train_merge(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, me: Invocation) {
    let group = workgroup_index(id, grid);
    if (group >= params.workgroups) {
        return;
    }
    let channel = group * CHANNEL_LANES + me.local % CHANNEL_LANES;
    let merged = merge_sets(me.local, channel);
    if (channel < params.channels && me.local < CHANNEL_LANES) {
        let variance = merged.m2 / f32(max(merged.count, 1u));
        saved[channel] =
            Saved(merged.pivot, merged.difference, variance, inverseSqrt(variance + params.eps));
        update_running(channel, merged.pivot + merged.difference, merged.m2, merged.count);
    }
}
