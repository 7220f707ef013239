// uses: block channels source channel_sums channel_table moments finite
// The moments of what a workgroup has of a block. Each lane of each invocation keeps its own tally; those of a channel
// are put together at the end.

// Of one lane of one invocation. All terms of m2 are positive: nothing cancels.
struct Tally {
    // Vectors seen, the same for all lanes.
    count: f32,
    // The lane's first value.
    pivot: Values,
    // Mean of x - pivot. From the sum it would be less exact: that grows, and rounds the same way again and again where the
    // pivot is far off.
    mean: Values,
    // Sum of x - pivot, which keeps an infinity where the mean becomes NaN.
    sum: Values,
    // Sum of squared deviations from the lane's own mean.
    m2: Values,
}

fn no_tally() -> Tally {
    return Tally(0.0, splat(0.0), splat(0.0), splat(0.0), splat(0.0));
}

// Adds a group of `count` vectors: their sum and mean of x - pivot, and their squared deviations from the mean (Chan, Golub
// & LeVeque 1979).
fn add_group(t: Tally, count: f32, sum: Values, mean: Values, m2: Values) -> Tally {
    let both = t.count + count;
    let share = count / both;
    let apart = mean - t.mean;
    // Weighed before it is squared: nothing times what may overflow is still nothing.
    let both_m2 = t.m2 + (m2 + times(apart * (t.count * share), apart));
    return Tally(both, t.pivot, t.mean + apart * share, t.sum + sum, both_m2);
}

// A value of the channel, to measure means from: the first of this share.
fn origin_of(block: u32, begin: u32, channel: u32) -> f32 {
    let row = begin / params.run;
    let value = channel * params.inner;
    let vector = begin - row * params.run + value / LANES;
    if (block * params.run + vector >= params.row) {
        return 0.0;
    }
    let origin = lane(unpack(x_at(params.first + row * params.row + block * params.run + vector)), value % LANES);
    return select(0.0, origin, is_finite(origin));
}

// The moments of `count` values of each channel of the block, from begin on. Called by all invocations together; those with
// local < CHANNEL_LANES get those of their channel.
fn combine(me: Invocation, block: u32, begin: u32, count: u32, position: u32, t: Tally) -> Moments {
    let mine = me.local < CHANNEL_LANES;
    var pivot = 0.0;
    if (mine) {
        pivot = origin_of(block, begin, me.local);
        channel_first[me.local] = vec4<f32>(pivot);
    }
    workgroupBarrier();
    let mean = finite_or(t.mean, t.sum * (1.0 / max(t.count, 1.0)));
    // The mean of all, as seen from the origin.
    var apart = (t.pivot - coefficients_at(block, position).a) + mean;
    pivot += channel_sums(me, apart * t.count, splat(0.0)).x / f32(count);
    if (mine) {
        channel_first[me.local] = vec4<f32>(pivot);
    }
    workgroupBarrier();
    // The pivot is that mean rounded to f32: the difference is what it lost.
    apart = (t.pivot - coefficients_at(block, position).a) + mean;
    let sums = channel_sums(me, apart * t.count, t.m2 + times(apart * t.count, apart));
    let difference = select(0.0, sums.x / f32(count), is_finite(pivot));
    // NaN and infinity stay what they are: infinity less infinity is NaN, and compilers fold a
    // float comparison into a max that drops NaN. Rounding leaves nothing finite below 0.
    var m2 = sums.y;
    if (is_finite(m2)) {
        m2 = max(m2 - sums.x * difference, 0.0);
    }
    return Moments(count, pivot, difference, m2);
}
