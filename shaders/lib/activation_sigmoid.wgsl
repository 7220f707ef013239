// uses: logistic
// y = 1 / (1 + exp(-z)).

fn activate_four(z: vec4<f32>) -> vec4<f32> {
    return logistic(z).value;
}

fn through_four(z: vec4<f32>, gradient: vec4<f32>) -> vec4<f32> {
    return gradient * logistic(z).slope;
}
