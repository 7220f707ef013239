// uses: params keep_nan
// y = min(max(z, low), high).

fn activate_four(z: vec4<f32>) -> vec4<f32> {
    return keep_nan(z, min(max(z, vec4<f32>(params.low)), vec4<f32>(params.high)));
}

fn through_four(z: vec4<f32>, gradient: vec4<f32>) -> vec4<f32> {
    let outside = (z <= vec4<f32>(params.low)) | (z >= vec4<f32>(params.high));
    return select(gradient, vec4<f32>(0.0), outside);
}
