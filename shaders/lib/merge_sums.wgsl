// uses: params lanes gradient_sums
// binds: partial_sums read
// Adds up the sets of one channel's gradient sums: each invocation strides over the sets, then a tree.

var<workgroup> sums_scratch: array<GradientSums, WORKGROUP>;

// Called by all invocations together; each gets the sums of channel local % CHANNEL_LANES.
fn merge_sums(local: u32, channel: u32) -> GradientSums {
    var merged = GradientSums(0u, 0.0, 0.0);
    if (channel < params.channels) {
        for (var part = local / CHANNEL_LANES; part < params.sets; part += VALUE_LANES) {
            merged = add_sums(merged, partial_sums[part * params.channels + channel]);
        }
    }
    sums_scratch[local] = merged;
    workgroupBarrier();
    for (var stride = WORKGROUP / 2u; stride >= CHANNEL_LANES; stride = stride / 2u) {
        if (local < stride) {
            sums_scratch[local] = add_sums(sums_scratch[local], sums_scratch[local + stride]);
        }
        workgroupBarrier();
    }
    return sums_scratch[local % CHANNEL_LANES];
}
