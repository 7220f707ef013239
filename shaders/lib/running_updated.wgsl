// uses: params running_target
// Moving averages, algorithm 2 lines 7 to 11 as PyTorch keeps them.

fn update_running(channel: u32, mean: f32, m2: f32, count: u32) {
    let old = Running(old_mean(channel), old_var(channel));
    // Nothing seen, or a variance that is 0 / 0: the statistics stay as they are.
    if (count <= params.correction) {
        store_running(channel, old);
        return;
    }
    let variance = m2 / f32(count - params.correction);
    let keeps = 1.0 - params.momentum;
    store_running(
        channel,
        Running(keeps * old.mean + params.momentum * mean, keeps * old.variance + params.momentum * variance),
    );
}
