// uses: block reduce
// Sums over a block of one channel.

// Called by all invocations together; every one gets them.
fn channel_sums(me: Invocation, a: Values, b: Values) -> vec2<f32> {
    return reduce(me, vec2<f32>(total(a), total(b)));
}
