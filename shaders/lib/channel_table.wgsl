// uses: lanes
// What a workgroup knows of the channels of its block, for all of its invocations.

var<workgroup> channel_first: array<vec4<f32>, CHANNEL_LANES>;
var<workgroup> channel_second: array<vec2<f32>, CHANNEL_LANES>;

fn first_of(block: u32, channel: u32) -> vec4<f32> {
    return channel_first[channel];
}

fn second_of(block: u32, channel: u32) -> vec2<f32> {
    return channel_second[channel];
}
