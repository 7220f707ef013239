// The coefficients of a vector of eight values.

fn coefficients_at(block: u32, position: u32) -> Coefficients {
    let low = first_of_four(block, position * LANES);
    let high = first_of_four(block, position * LANES + 4u);
    let more_low = transpose(second_of_four(block, position * LANES));
    let more_high = transpose(second_of_four(block, position * LANES + 4u));
    return Coefficients(
        Values(low[0], high[0]),
        Values(low[1], high[1]),
        Values(low[2], high[2]),
        Values(low[3], high[3]),
        Values(more_low[0], more_high[0]),
        Values(more_low[1], more_high[1]),
    );
}
