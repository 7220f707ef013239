// uses: block channels input gradient_source residual upstream dresidual frozen_dx
// Sums over a share of a block, ITEMS vectors at a time: of the gradient by z, and of it * (x - mean). What follows from
// that gradient alone is written on the way.

struct Sums {
    dy: Values,
    dy_centered: Values,
}

fn take_sums(at: Walk, end: u32, k: Coefficients, shift: Shift) -> Sums {
    var here = at;
    var all = Sums(splat(0.0), splat(0.0));
    while (whole(here, end)) {
        var dy_sum = splat(0.0);
        var centered_sum = splat(0.0);
        // repeat:
        let at$k = here.address;
        let x$k = x_at(at$k);
        let g$k = dy_at(at$k);
        let r$k = residual_at(at$k);
        here = next(here);
        // end
        // repeat:
        let u$k = upstream(x$k, g$k, r$k, k, shift);
        write_dresidual(at$k, u$k);
        write_frozen_dx(at$k, u$k, k);
        dy_sum += u$k;
        centered_sum += times(u$k, (unpack(x$k) - k.a) - k.b);
        // end
        all = Sums(all.dy + dy_sum, all.dy_centered + centered_sum);
    }
    while (here.index < end) {
        let value = x_at(here.address);
        let u = upstream(value, dy_at(here.address), residual_at(here.address), k, shift);
        write_dresidual(here.address, u);
        write_frozen_dx(here.address, u, k);
        all = Sums(all.dy + u, all.dy_centered + times(u, (unpack(value) - k.a) - k.b));
        here = next(here);
    }
    return all;
}
