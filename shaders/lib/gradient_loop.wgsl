// uses: block channels grad_step
// dx over a share of a block, ITEMS vectors at a time.

fn write_gradients(at: Walk, end: u32, k: Coefficients) {
    var here = at;
    while (whole(here, end)) {
        // repeat:
        let at$k = here.address;
        let x$k = x[at$k];
        let g$k = dy[at$k];
        here = next(here);
        // end
        // repeat:
        dx[at$k] = pack(input_gradient(unpack(x$k), unpack(g$k), k));
        // end
    }
    while (here.index < end) {
        dx[here.address] = pack(input_gradient(unpack(x[here.address]), unpack(dy[here.address]), k));
        here = next(here);
    }
}
