// The coefficients of a vector of four values.

fn coefficients_at(block: u32, position: u32) -> Coefficients {
    let first = first_of_four(block, position * LANES);
    let second = transpose(second_of_four(block, position * LANES));
    return Coefficients(first[0], first[1], first[2], first[3], second[0], second[1]);
}
