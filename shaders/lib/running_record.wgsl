// Running statistics of a channel.

struct Running {
    mean: f32,
    variance: f32,
}
