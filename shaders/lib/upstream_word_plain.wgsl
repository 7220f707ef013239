// The gradient by z = gamma * x_hat + beta: with nothing between z and y it is dy.

fn upstream_value(channel: u32, value: f32, gradient: f32, added: f32) -> f32 {
    return gradient;
}
