// uses: params grid tally_loop normalize_loop finish
// binds: y read_write, saved read_write
// Algorithm 1 in one launch: a workgroup takes the moments of its block, then normalizes it.
// grid: block
// memory: x once (the second reading finds the block in the cache), y once

@compute @workgroup_size(WORKGROUP)
fn train_fused(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, me: Invocation) {
    let block = workgroup_index(id, grid);
    if (block >= params.workgroups) {
        return;
    }
    let end = params.vectors;
    let at = walk_from(block, 0u, end, me.local);
    finish(me, block, combine(me, block, 0u, params.count, at.position, take(at, end)), true);
    normalize(at, end, coefficients_at(block, at.position));
}
