// uses: coefficients
// dx = (dy - mean(dy) - (x - mean) * invstd^2 * mean(dy * (x - mean))) * invstd * gamma, in an order whose factors
// fit f32 one by one. The coefficients: pivot, difference, mean(dy), invstd * mean(dy * (x - mean)), invstd, gamma.

fn input_gradient(values: Values, gradients: Values, k: Coefficients) -> Values {
    let projection = times(times((values - k.a) - k.b, k.e), k.d);
    return times(times((gradients - k.c) - projection, k.e), k.f);
}
