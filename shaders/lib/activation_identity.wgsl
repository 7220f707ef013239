// y = z.

fn activate_four(z: vec4<f32>) -> vec4<f32> {
    return z;
}

fn through_four(z: vec4<f32>, gradient: vec4<f32>) -> vec4<f32> {
    return gradient;
}
