// Per channel: values summed over, sum of dy, sum of dy * (x - mean).

struct GradientSums {
    count: u32,
    dy: f32,
    dy_centered: f32,
}

fn add_sums(a: GradientSums, b: GradientSums) -> GradientSums {
    return GradientSums(a.count + b.count, a.dy + b.dy, a.dy_centered + b.dy_centered);
}
