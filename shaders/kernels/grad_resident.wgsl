// uses: params grid channels channel_sums input gradient_source residual upstream later dresidual grad_finish grad_step
// binds: dx read_write, saved read
// Section 3 of the paper in one launch with each value read once: a workgroup holds its block in registers.
// grid: block
// memory: x once, dy once, dx once

@compute @workgroup_size(WORKGROUP)
fn grad_resident(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, me: Invocation) {
    let block = workgroup_index(id, grid);
    if (block >= params.workgroups) {
        return;
    }
    let end = params.vectors;
    let start = walk_from(block, 0u, end, me.local);
    var at = start;
    // repeat:
    let in$k = at.index < end;
    let at$k = at.address;
    var x$k: Word;
    var g$k: Word;
    var r$k: Word;
    if (in$k) {
        x$k = x_at(at$k);
        g$k = dy_at(at$k);
        r$k = residual_at(at$k);
    }
    at = next(at);
    // end
    begin_gradients(me, block);
    let center = coefficients_at(block, start.position);
    let shift = shift_at(block, start.position);
    var dy_sum = splat(0.0);
    var centered_sum = splat(0.0);
    // repeat:
    if (in$k) {
        let u = upstream(x$k, g$k, r$k, center, shift);
        write_dresidual(at$k, u);
        g$k = keep(g$k, u);
        dy_sum += u;
        centered_sum += times(u, (unpack(x$k) - center.a) - center.b);
    }
    // end
    let sums = channel_sums(me, dy_sum, centered_sum);
    finish_gradients(me, block, GradientSums(params.count, sums.x, sums.y), true);
    let k = coefficients_at(block, start.position);
    // repeat:
    if (in$k) {
        dx[at$k] = pack(input_gradient(unpack(x$k), later(x$k, g$k, r$k, k, shift), k));
    }
    // end
}
