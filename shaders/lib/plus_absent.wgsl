// No residual is added to a vector.

fn plus_residual(values: Values, word: Word) -> Values {
    return values;
}
