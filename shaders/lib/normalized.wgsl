// uses: coefficients
// y = ((x - pivot - difference) * invstd) * gamma + beta.
// invstd first: what is centered and scaled fits f32, gamma * invstd may not.

fn normalized(values: Values, k: Coefficients) -> Values {
    return times(times((values - k.a) - k.b, k.c), k.d) + k.e;
}
