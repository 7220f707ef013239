// beta is absent, which is a beta of 0.

fn beta_of(channel: u32) -> f32 {
    return 0.0;
}
