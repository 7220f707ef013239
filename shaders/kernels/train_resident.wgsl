// uses: params grid tally finish residual tail
// binds: y read_write, saved read_write
// Algorithm 1 in one launch with each value read once: a workgroup holds its block in registers.
// grid: block
// memory: x once, y once

@compute @workgroup_size(WORKGROUP)
fn train_resident(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, me: Invocation) {
    let block = workgroup_index(id, grid);
    if (block >= params.workgroups) {
        return;
    }
    let end = params.vectors;
    let start = walk_from(block, 0u, end, me.local);
    var at = start;
    var t = no_tally();
    // repeat:
    let in$k = at.index < end;
    let at$k = at.address;
    var x$k: Word;
    if (in$k) {
        x$k = x_at(at$k);
        t.count += 1.0;
    }
    at = next(at);
    // end
    if (start.index < end) {
        t.pivot = finite_or(unpack(x0), splat(0.0));
    }
    // repeat:
    if (in$k) {
        t.sum += unpack(x$k) - t.pivot;
    }
    // end
    t.mean = t.sum * (1.0 / max(t.count, 1.0));
    // repeat:
    if (in$k) {
        let d = (unpack(x$k) - t.pivot) - t.mean;
        t.m2 += times(d, d);
    }
    // end
    finish(me, block, combine(me, block, 0u, params.count, start.position, t), true);
    let k = coefficients_at(block, start.position);
    // repeat:
    if (in$k) {
        y[at$k] = pack(finished(unpack(x$k), residual_at(at$k), k));
    }
    // end
}
