// uses: running_record
// binds: running_mean read_write, running_var read_write
// The new running statistics go over the old ones.

fn old_mean(channel: u32) -> f32 {
    return running_mean[channel];
}

fn old_var(channel: u32) -> f32 {
    return running_var[channel];
}

fn store_running(channel: u32, running: Running) {
    running_mean[channel] = running.mean;
    running_var[channel] = running.variance;
}
