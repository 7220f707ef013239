// uses: running_record
// binds: running_mean read, running_var read, new_running_mean read_write, new_running_var read_write
// The new running statistics have memory of their own.

fn old_mean(channel: u32) -> f32 {
    return running_mean[channel];
}

fn old_var(channel: u32) -> f32 {
    return running_var[channel];
}

fn store_running(channel: u32, running: Running) {
    new_running_mean[channel] = running.mean;
    new_running_var[channel] = running.variance;
}
