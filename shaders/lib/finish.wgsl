// uses: channel_table saved running gamma beta
// What a workgroup that has the moments of its channels does with them: saves the statistics, updates the running ones
// (one workgroup of each block does), and leaves the coefficients of y to all of its invocations.

fn finish(me: Invocation, block: u32, merged: Moments, saves: bool) {
    let channel = block * CHANNEL_LANES + me.local;
    if (me.local < CHANNEL_LANES && channel < params.channels) {
        let variance = merged.m2 / f32(max(merged.count, 1u));
        let invstd = inverseSqrt(variance + params.eps);
        channel_first[me.local] = vec4<f32>(merged.pivot, merged.difference, invstd, gamma_of(channel));
        channel_second[me.local] = vec2<f32>(beta_of(channel), 0.0);
        if (saves) {
            saved[channel] = Saved(merged.pivot, merged.difference, variance, invstd);
            update_running(channel, merged.pivot + merged.difference, merged.m2, merged.count);
        }
    }
    workgroupBarrier();
}
