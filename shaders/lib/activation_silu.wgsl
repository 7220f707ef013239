// uses: logistic
// y = z * sigmoid(z).

fn activate_four(z: vec4<f32>) -> vec4<f32> {
    return z * logistic(z).value;
}

fn through_four(z: vec4<f32>, gradient: vec4<f32>) -> vec4<f32> {
    let l = logistic(z);
    return gradient * (l.value + z * l.slope);
}
