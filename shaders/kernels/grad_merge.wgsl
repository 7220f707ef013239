// uses: params grid merge_sums saved dgamma dbeta
// binds: saved read, sums read_write
// Adds the partial sums up; dbeta = sum of dy, dgamma = invstd * sum of dy * (x - mean).
// grid: group of CHANNEL_LANES channels
// memory: no tensor

@compute @workgroup_size(WORKGROUP)
fn grad_merge(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, me: Invocation) {
    let group = workgroup_index(id, grid);
    if (group >= params.workgroups) {
        return;
    }
    let channel = group * CHANNEL_LANES + me.local % CHANNEL_LANES;
    let merged = merge_sums(me.local, channel);
    if (channel < params.channels && me.local < CHANNEL_LANES) {
        sums[channel] = merged;
        write_dbeta(channel, merged.dy);
        // With nothing summed there are no statistics to scale by.
        write_dgamma(channel, select(merged.dy_centered * saved[channel].invstd, 0.0, merged.count == 0u));
    }
}
