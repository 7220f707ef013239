// uses: keep_nan
// y = max(z, 0).

fn activate_four(z: vec4<f32>) -> vec4<f32> {
    return keep_nan(z, max(z, vec4<f32>(0.0)));
}

fn through_four(z: vec4<f32>, gradient: vec4<f32>) -> vec4<f32> {
    return select(gradient, vec4<f32>(0.0), z <= vec4<f32>(0.0));
}
