// binds: gamma read

fn gamma_of(channel: u32) -> f32 {
    return gamma[channel];
}
