// gamma is absent, which is a gamma of 1.

fn gamma_of(channel: u32) -> f32 {
    return 1.0;
}
