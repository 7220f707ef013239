// binds: dgamma read_write

fn write_dgamma(channel: u32, value: f32) {
    dgamma[channel] = value;
}
