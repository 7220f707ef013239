// uses: params grid lanes saved gradient_sums dgamma dbeta
// binds: partial_sums read, saved read, sums read_write
// Adds the partial sums up; dbeta = sum of dy, dgamma = invstd * sum of dy * (x - mean).
// grid: group of CHANNEL_LANES channels
// memory: no tensor

var<workgroup> scratch: array<GradientSums, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn grad_merge(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let group = workgroup_index(id, grid);
    if (group >= params.workgroups) {
        return;
    }
    let channel = group * CHANNEL_LANES + local % CHANNEL_LANES;
    let inside = channel < params.channels;
    var total = GradientSums(0u, 0.0, 0.0);
    if (inside) {
        for (var part = local / CHANNEL_LANES; part < params.sets; part += VALUE_LANES) {
            total = add_sums(total, partial_sums[part * params.channels + channel]);
        }
    }
    scratch[local] = total;
    workgroupBarrier();
    for (var stride = WORKGROUP / 2u; stride >= CHANNEL_LANES; stride = stride / 2u) {
        if (local < stride) {
            scratch[local] = add_sums(scratch[local], scratch[local + stride]);
        }
        workgroupBarrier();
    }
    if (inside && local < CHANNEL_LANES) {
        total = scratch[local];
        sums[channel] = total;
        write_dbeta(channel, total.dy);
        // With nothing summed there are no statistics to scale by.
        write_dgamma(channel, select(total.dy_centered * saved[channel].invstd, 0.0, total.count == 0u));
    }
}
