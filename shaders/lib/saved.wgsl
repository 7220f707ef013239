// What the forward pass saves of a channel: mean = pivot + difference, biased variance, 1 / sqrt(variance + eps).

struct Saved {
    pivot: f32,
    difference: f32,
    variance: f32,
    invstd: f32,
}

// x - mean. Two subtractions in this order: the first is exact near the pivot.
fn centered(value: f32, s: Saved) -> f32 {
    return (value - s.pivot) - s.difference;
}
