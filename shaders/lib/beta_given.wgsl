// binds: beta read

fn beta_of(channel: u32) -> f32 {
    return beta[channel];
}
