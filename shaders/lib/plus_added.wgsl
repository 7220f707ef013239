// The residual is added to a vector, before the activation.

fn plus_residual(values: Values, word: Word) -> Values {
    return values + unpack(word);
}
