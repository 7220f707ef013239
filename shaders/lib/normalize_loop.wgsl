// uses: block channels normalized
// Normalizes a share of a block, ITEMS vectors at a time.

fn normalize(at: Walk, end: u32, k: Coefficients) {
    var here = at;
    while (whole(here, end)) {
        // repeat:
        let at$k = here.address;
        let x$k = x[at$k];
        here = next(here);
        // end
        // repeat:
        y[at$k] = pack(normalized(unpack(x$k), k));
        // end
    }
    while (here.index < end) {
        y[here.address] = pack(normalized(unpack(x[here.address]), k));
        here = next(here);
    }
}
