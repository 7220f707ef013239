// uses: channel_sums share gradient_sums
// binds: partial_sums read_write

fn leave_sums(me: Invocation, s: Share, dy: Values, dy_centered: Values) {
    let sums = channel_sums(me, dy, dy_centered);
    let channel = s.block * CHANNEL_LANES + me.local;
    if (me.local < CHANNEL_LANES && channel < params.channels) {
        let partial = params.first_partial + s.part * params.all_channels + channel;
        partial_sums[partial] = GradientSums(values_in(s.end - s.begin), sums.x, sums.y);
    }
}
