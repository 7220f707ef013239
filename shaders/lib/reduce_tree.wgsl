// uses: invocation lanes
// Sum over the invocations of a channel, as a tree in a fixed order.

var<workgroup> reduce_scratch: array<vec2<f32>, WORKGROUP>;

// Called by all invocations together; each gets its channel's sum.
fn reduce(me: Invocation, value: vec2<f32>) -> vec2<f32> {
    // The scratch may still be read by those that have not left the last call.
    workgroupBarrier();
    reduce_scratch[me.local] = value;
    workgroupBarrier();
    for (var stride = WORKGROUP / 2u; stride >= CHANNEL_LANES; stride = stride / 2u) {
        if (me.local < stride) {
            reduce_scratch[me.local] += reduce_scratch[me.local + stride];
        }
        workgroupBarrier();
    }
    return reduce_scratch[me.local % CHANNEL_LANES];
}
