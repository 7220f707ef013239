// uses: block reduce write_lanes
// Sums over the channels of a block, through workgroup memory that holds the lanes of all invocations as the tensor
// does: row by row, channel by channel.

var<workgroup> columns: array<f32, WORKGROUP * LANES>;

// Called by all invocations together; those with local < CHANNEL_LANES get the sums of that channel of the block.
fn channel_sums(me: Invocation, a: Values, b: Values) -> vec2<f32> {
    let first = column_share(me, a);
    return reduce(me, vec2<f32>(first, column_share(me, b)));
}

// What this invocation adds up: a share of the column of channel local % CHANNEL_LANES.
fn column_share(me: Invocation, values: Values) -> f32 {
    workgroupBarrier();
    write_lanes(me.local * LANES, values);
    workgroupBarrier();
    let first = me.local % CHANNEL_LANES * params.inner;
    let terms = params.stride / params.run * params.inner;
    var sum = 0.0;
    for (var term = me.local / CHANNEL_LANES; term < terms; term += VALUE_LANES) {
        let row = term / params.inner;
        sum += columns[row * params.run * LANES + first + (term - row * params.inner)];
    }
    return sum;
}
