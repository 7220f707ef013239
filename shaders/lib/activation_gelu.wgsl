// uses: logistic keep_nan
// y = z / 2 * (1 + tanh(u)), u = sqrt(2 / pi) * (z + 0.044715 * z^3). (1 + tanh(u)) / 2 is the logistic function of 2u.

fn activate_four(z: vec4<f32>) -> vec4<f32> {
    return z * logistic(z * (1.5957691216 + 0.0713548163 * (z * z))).value;
}

fn through_four(z: vec4<f32>, gradient: vec4<f32>) -> vec4<f32> {
    // Beyond 20 the slope is 0 or 1 to the last bit, and z^2 might overflow.
    let below = select(z, vec4<f32>(20.0), z > vec4<f32>(20.0));
    let near = select(below, vec4<f32>(-20.0), z < vec4<f32>(-20.0));
    let s = near * near;
    let l = logistic(near * (1.5957691216 + 0.0713548163 * s));
    return keep_nan(z, gradient * (l.value + near * l.slope * (1.5957691216 + 0.2140644488 * s)));
}
