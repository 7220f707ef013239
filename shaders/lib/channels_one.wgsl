// uses: block coefficients
// A block of one channel: every lane of every vector is of it.

fn coefficients_at(block: u32, position: u32) -> Coefficients {
    let first = first_of(block, 0u);
    let second = second_of(block, 0u);
    return Coefficients(
        splat(first.x),
        splat(first.y),
        splat(first.z),
        splat(first.w),
        splat(second.x),
        splat(second.y),
    );
}
