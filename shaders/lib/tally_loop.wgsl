// uses: tally
// Takes the tally of a share of a block, ITEMS vectors at a time: so many loads are under way together.

fn take(at: Walk, end: u32) -> Tally {
    var here = at;
    var t = no_tally();
    if (here.index >= end) {
        return t;
    }
    // Infinities and NaN are no origin to measure from.
    t.pivot = finite_or(unpack(x_at(here.address)), splat(0.0));
    while (whole(here, end)) {
        var sum = splat(0.0);
        var m2 = splat(0.0);
        // repeat:
        let d$k = unpack(x_at(here.address)) - t.pivot;
        sum += d$k;
        here = next(here);
        // end
        let mean = sum * (1.0 / f32(ITEMS));
        // repeat:
        m2 += times(d$k - mean, d$k - mean);
        // end
        t = add_group(t, f32(ITEMS), sum, mean, m2);
    }
    if (here.index < end) {
        var count = 0.0;
        var sum = splat(0.0);
        var m2 = splat(0.0);
        // repeat:
        let in$k = here.index < end;
        var d$k = splat(0.0);
        if (in$k) {
            d$k = unpack(x_at(here.address)) - t.pivot;
            count += 1.0;
        }
        sum += d$k;
        here = next(here);
        // end
        let mean = sum * (1.0 / count);
        // repeat:
        if (in$k) {
            m2 += times(d$k - mean, d$k - mean);
        }
        // end
        t = add_group(t, count, sum, mean, m2);
    }
    return t;
}
