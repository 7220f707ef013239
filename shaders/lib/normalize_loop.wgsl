// uses: block channels source residual tail
// Normalizes a share of a block, ITEMS vectors at a time.

fn normalize(at: Walk, end: u32, k: Coefficients) {
    var here = at;
    while (whole(here, end)) {
        // repeat:
        let at$k = here.address;
        let x$k = x_at(at$k);
        let r$k = residual_at(at$k);
        here = next(here);
        // end
        // repeat:
        y[at$k] = pack(finished(unpack(x$k), r$k, k));
        // end
    }
    while (here.index < end) {
        let added = residual_at(here.address);
        y[here.address] = pack(finished(unpack(x_at(here.address)), added, k));
        here = next(here);
    }
}
