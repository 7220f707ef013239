// uses: channel_table saved gradient_sums gamma dgamma dbeta
// What a workgroup does with the statistics and the sums of its channels.

// Before the sums: what they are measured from.
fn begin_gradients(me: Invocation, block: u32) {
    let channel = block * CHANNEL_LANES + me.local;
    if (me.local < CHANNEL_LANES) {
        channel_first[me.local] = vec4<f32>(0.0);
        channel_second[me.local] = vec2<f32>(0.0);
        if (channel < params.channels) {
            let s = saved[channel];
            channel_first[me.local] = vec4<f32>(s.pivot, s.difference, 0.0, 0.0);
            channel_second[me.local] = vec2<f32>(s.invstd, gamma_of(channel));
        }
    }
    workgroupBarrier();
}

// After them: writes the gradients of the parameters (one workgroup of each block does), and leaves the coefficients of
// dx to all invocations.
fn finish_gradients(me: Invocation, block: u32, sums: GradientSums, writes: bool) {
    let channel = block * CHANNEL_LANES + me.local;
    if (me.local < CHANNEL_LANES && channel < params.channels) {
        let first = channel_first[me.local];
        let invstd = channel_second[me.local].x;
        let count = f32(max(sums.count, 1u));
        channel_first[me.local] =
            vec4<f32>(first.x, first.y, sums.dy / count, invstd * (sums.dy_centered / count));
        if (writes) {
            write_dbeta(channel, sums.dy);
            write_dgamma(channel, sums.dy_centered * invstd);
        }
    }
    workgroupBarrier();
}
