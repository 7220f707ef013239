// uses: params grid tally_loop share
// binds: partial_moments read_write
// Algorithm 1 lines 1 and 2: the moments of one part of a block, in one reading.
// grid: part by block
// memory: x once

@compute @workgroup_size(WORKGROUP)
fn train_block_moments(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, me: Invocation) {
    let group = workgroup_index(id, grid);
    if (group >= params.workgroups) {
        return;
    }
    let s = share_of(group);
    let at = walk_from(s.block, s.begin, s.end, me.local);
    let taken = combine(me, s.block, s.begin, values_in(s.end - s.begin), at.position, take(at, s.end));
    let channel = s.block * CHANNEL_LANES + me.local;
    if (me.local < CHANNEL_LANES && channel < params.channels) {
        let partial = params.first_partial + s.part * params.all_channels + channel;
        partial_moments[partial] = taken;
    }
}
