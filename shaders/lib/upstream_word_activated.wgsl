// uses: saved gamma beta residual activate_word
// binds: saved read
// The gradient by z = gamma * x_hat + beta + residual, through the activation: z is computed again from x.

fn upstream_value(channel: u32, value: f32, gradient: f32, added: f32) -> f32 {
    let s = saved[channel];
    let z = (centered(value, s) * s.invstd) * gamma_of(channel) + beta_of(channel);
    return through_one(plus_value(z, added), gradient);
}
