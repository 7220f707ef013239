// The logistic function and its derivative, from exp of what is not positive: that cannot overflow.

struct Logistic {
    value: vec4<f32>,
    slope: vec4<f32>,
}

fn logistic(z: vec4<f32>) -> Logistic {
    let e = exp(-abs(z));
    let more = 1.0 / (1.0 + e);
    // 1 - value would cancel where value is near 1; its complement is e * more.
    return Logistic(select(more, e * more, z < vec4<f32>(0.0)), e * more * more);
}
