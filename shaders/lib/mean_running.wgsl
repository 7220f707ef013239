// binds: running_mean read

fn mean_of(channel: u32) -> f32 {
    return running_mean[channel];
}
