// A batch is let in if its statistics are finite in all channels.

var<workgroup> verdicts: array<u32, WORKGROUP>;

// Called by all invocations of the one workgroup together.
fn layer_verdict(me: Invocation) -> bool {
    var finite = 1u;
    for (var channel = me.local; channel < params.channels; channel += WORKGROUP) {
        finite &= select(0u, 1u, is_channel_finite(channel));
    }
    verdicts[me.local] = finite;
    workgroupBarrier();
    for (var stride = WORKGROUP / 2u; stride > 0u; stride = stride / 2u) {
        if (me.local < stride) {
            verdicts[me.local] &= verdicts[me.local + stride];
        }
        workgroupBarrier();
    }
    return verdicts[0] == 1u;
}

fn accepts(layer: bool, channel: u32) -> bool {
    return layer;
}
