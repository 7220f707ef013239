// uses: params grid merge_sums grad_finish gradient_loop share
// binds: dx read_write, saved read
// dx, after adding up the sums of the block's parts: every workgroup does so for itself, in the same order, to the same
// bits.
// grid: part by block, last first: the end of x and dy is what the cache still holds
// memory: x once, dy once, dx once

@compute @workgroup_size(WORKGROUP)
fn grad_block_finish(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, me: Invocation) {
    let group = workgroup_index(id, grid);
    if (group >= params.workgroups) {
        return;
    }
    let s = share_of(params.workgroups - 1u - group);
    let merged = merge_sums(me.local, s.block * CHANNEL_LANES + me.local % CHANNEL_LANES);
    begin_gradients(me, s.block);
    finish_gradients(me, s.block, merged, s.part == 0u);
    let at = walk_from(s.block, s.begin, s.end, me.local);
    write_gradients(at, s.end, coefficients_at(s.block, at.position), shift_at(s.block, at.position));
}
