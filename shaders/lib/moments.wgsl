// uses: finite
// Count, mean and M2, the sum of squared deviations. The mean is pivot + difference, kept apart:
// x - pivot is exact for values near the pivot, so no digit of a far-off channel is lost.

struct Moments {
    count: u32,
    pivot: f32,
    difference: f32,
    m2: f32,
}

// Chan, Golub & LeVeque 1979.
fn merge_moments(left: Moments, right: Moments) -> Moments {
    // The pivot is that of the larger part: beside one that lies far off, the difference would lose the mean.
    var a = left;
    var b = right;
    if (right.count > left.count) {
        a = right;
        b = left;
    }
    if (b.count == 0u) {
        return a;
    }
    let count = a.count + b.count;
    // An infinite mean stays what it is, with NaN or its opposite it is NaN: no difference of infinities.
    if (!(is_finite(a.pivot) && is_finite(b.pivot))) {
        return Moments(count, a.pivot + b.pivot, 0.0, a.m2 + b.m2);
    }
    let share = f32(b.count) / f32(count);
    let delta = (b.pivot - a.pivot) + (b.difference - a.difference);
    return Moments(
        count,
        a.pivot,
        a.difference + delta * share,
        // The small terms first: one by one they could vanish in a long sum.
        a.m2 + (b.m2 + delta * delta * f32(a.count) * share),
    );
}
