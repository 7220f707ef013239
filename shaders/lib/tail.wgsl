// uses: normalized activate plus
// y = activation(normalized x + residual).

fn finished(values: Values, added: Word, k: Coefficients) -> Values {
    return activate(plus_residual(normalized(values, k), added));
}
