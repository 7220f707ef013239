// uses: params grid merge finish normalize_loop share
// binds: y read_write, saved read_write
// Algorithm 1 lines 3 and 4, after merging the moments of the block's parts: every workgroup merges them for itself,
// in the same order, to the same bits.
// grid: part by block, last first: the end of x is what the cache still holds
// memory: x once, y once

@compute @workgroup_size(WORKGROUP)
fn train_block_finish(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, me: Invocation) {
    let group = workgroup_index(id, grid);
    if (group >= params.workgroups) {
        return;
    }
    let s = share_of(params.workgroups - 1u - group);
    let merged = merge_sets(me.local, s.block * CHANNEL_LANES + me.local % CHANNEL_LANES);
    finish(me, s.block, merged, s.part == 0u);
    let at = walk_from(s.block, s.begin, s.end, me.local);
    normalize(at, s.end, coefficients_at(s.block, at.position));
}
