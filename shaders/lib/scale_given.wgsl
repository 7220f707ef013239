// uses: gamma
// What is written beside the sums needs invstd and gamma.

fn scale_of(channel: u32, invstd: f32) -> vec2<f32> {
    return vec2<f32>(invstd, gamma_of(channel));
}
