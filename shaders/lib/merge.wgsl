// uses: params lanes moments
// binds: partial_moments read
// Merges the sets of one channel's moments: each invocation strides over the sets, then a tree.

var<workgroup> merge_scratch: array<Moments, WORKGROUP>;

// Called by all invocations together; those with local < CHANNEL_LANES get the result.
fn merge_sets(local: u32, channel: u32) -> Moments {
    var merged = Moments(0u, 0.0, 0.0, 0.0);
    if (channel < params.channels) {
        for (var part = local / CHANNEL_LANES; part < params.sets; part += VALUE_LANES) {
            merged = merge_moments(merged, partial_moments[part * params.channels + channel]);
        }
    }
    merge_scratch[local] = merged;
    workgroupBarrier();
    for (var stride = WORKGROUP / 2u; stride >= CHANNEL_LANES; stride = stride / 2u) {
        if (local < stride) {
            merge_scratch[local] = merge_moments(merge_scratch[local], merge_scratch[local + stride]);
        }
        workgroupBarrier();
    }
    return merge_scratch[local % CHANNEL_LANES];
}
