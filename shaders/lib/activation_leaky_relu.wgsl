// uses: params
// y = z above 0, alpha * z else; alpha is params.low.

fn activate_four(z: vec4<f32>) -> vec4<f32> {
    return select(z, params.low * z, z <= vec4<f32>(0.0));
}

fn through_four(z: vec4<f32>, gradient: vec4<f32>) -> vec4<f32> {
    return select(params.low * gradient, gradient, z > vec4<f32>(0.0));
}
