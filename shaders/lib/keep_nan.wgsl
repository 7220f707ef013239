// NaN stays NaN where min and max drop it. By its bits: compilers turn comparisons that it fails into min and max.

fn keep_nan(z: vec4<f32>, y: vec4<f32>) -> vec4<f32> {
    let magnitude = bitcast<vec4<u32>>(z) & vec4<u32>(0x7fffffffu);
    return select(y, z, magnitude > vec4<u32>(0x7f800000u));
}
