// uses: activation
// The activation of one value, and a gradient through it.

fn activate_one(z: f32) -> f32 {
    return activate_four(vec4<f32>(z)).x;
}

fn through_one(z: f32, gradient: f32) -> f32 {
    return through_four(vec4<f32>(z), vec4<f32>(gradient)).x;
}
