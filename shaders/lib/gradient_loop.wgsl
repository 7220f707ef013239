// uses: block channels input later grad_step
// dx over a share of a block, ITEMS vectors at a time.

fn write_gradients(at: Walk, end: u32, k: Coefficients, shift: Shift) {
    var here = at;
    while (whole(here, end)) {
        // repeat:
        let at$k = here.address;
        let x$k = x_at(at$k);
        let g$k = gradient_at(at$k);
        let r$k = added_at(at$k);
        here = next(here);
        // end
        // repeat:
        dx[at$k] = pack(input_gradient(unpack(x$k), later(x$k, g$k, r$k, k, shift), k));
        // end
    }
    while (here.index < end) {
        let value = x_at(here.address);
        let u = later(value, gradient_at(here.address), added_at(here.address), k, shift);
        dx[here.address] = pack(input_gradient(unpack(value), u, k));
        here = next(here);
    }
}
