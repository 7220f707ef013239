// uses: invocation
// Sum over all invocations: inside each subgroup by the device, then over the subgroups' sums. Of whatever size they
// are: it is known when the kernel runs.

// Subgroups have four invocations at least.
var<workgroup> reduce_scratch: array<vec2<f32>, WORKGROUP / 4u + 1u>;

// Called by all invocations together; each gets the sum.
fn reduce(me: Invocation, value: vec2<f32>) -> vec2<f32> {
    let part = subgroupAdd(value);
    // The scratch may still be read by those that have not left the last call.
    workgroupBarrier();
    if (me.lane == 0u) {
        reduce_scratch[me.subgroup] = part;
    }
    workgroupBarrier();
    var sum = vec2<f32>(0.0);
    for (var i = me.lane; i < me.subgroups; i += me.lanes) {
        sum += reduce_scratch[i];
    }
    return subgroupAdd(sum);
}
