// uses: params grid merge
// binds: moments read_write
// Merges partial moments into one set.
// grid: group of CHANNEL_LANES channels
// memory: no tensor

@compute @workgroup_size(WORKGROUP)
fn moments_merge(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, me: Invocation) {
    let group = workgroup_index(id, grid);
    if (group >= params.workgroups) {
        return;
    }
    let channel = group * CHANNEL_LANES + me.local % CHANNEL_LANES;
    let merged = merge_sets(me.local, channel);
    if (channel < params.channels && me.local < CHANNEL_LANES) {
        moments[channel] = merged;
    }
}
