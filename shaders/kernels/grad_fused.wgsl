// uses: params grid sums_loop channel_sums grad_finish gradient_loop
// binds: dx read_write, saved read
// Section 3 of the paper in one launch: a workgroup takes the sums of its block, then dx.
// grid: block
// memory: x once, dy and residual once (the second reading finds the block in the cache), dresidual and dx once

@compute @workgroup_size(WORKGROUP)
fn grad_fused(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, me: Invocation) {
    let block = workgroup_index(id, grid);
    if (block >= params.workgroups) {
        return;
    }
    let end = params.vectors;
    let at = walk_from(block, 0u, end, me.local);
    begin_gradients(me, block);
    let shift = shift_at(block, at.position);
    let all = take_sums(at, end, coefficients_at(block, at.position), shift);
    let sums = channel_sums(me, all.dy, all.dy_centered);
    finish_gradients(me, block, GradientSums(params.count, sums.x, sums.y), true);
    write_gradients(at, end, coefficients_at(block, at.position), shift);
}
