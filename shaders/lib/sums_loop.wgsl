// uses: block channels
// Sums over a share of a block, ITEMS vectors at a time: of dy, and of dy * (x - mean).

struct Sums {
    dy: Values,
    dy_centered: Values,
}

fn take_sums(at: Walk, end: u32, k: Coefficients) -> Sums {
    var here = at;
    var all = Sums(splat(0.0), splat(0.0));
    while (whole(here, end)) {
        var dy_sum = splat(0.0);
        var centered_sum = splat(0.0);
        // repeat:
        let x$k = x[here.address];
        let g$k = dy[here.address];
        here = next(here);
        // end
        // repeat:
        dy_sum += unpack(g$k);
        centered_sum += times(unpack(g$k), (unpack(x$k) - k.a) - k.b);
        // end
        all = Sums(all.dy + dy_sum, all.dy_centered + centered_sum);
    }
    while (here.index < end) {
        let gradient = unpack(dy[here.address]);
        all = Sums(all.dy + gradient, all.dy_centered + times(gradient, (unpack(x[here.address]) - k.a) - k.b));
        here = next(here);
    }
    return all;
}
