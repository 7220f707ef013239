// uses: params
// binds: running_mean read_write, running_var read_write
// Moving averages, algorithm 2 lines 7 to 11 as PyTorch keeps them.

fn update_running(channel: u32, mean: f32, m2: f32, count: u32) {
    // Nothing seen, or a variance that is 0 / 0: the statistics stay as they are.
    if (count <= params.correction) {
        return;
    }
    let variance = m2 / f32(count - params.correction);
    let old = 1.0 - params.momentum;
    running_mean[channel] = old * running_mean[channel] + params.momentum * mean;
    running_var[channel] = old * running_var[channel] + params.momentum * variance;
}
