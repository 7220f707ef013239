// uses: block channels activate beta plus shift
// The gradient by z = gamma * x_hat + beta + residual, through the activation: z is computed again from x.
// Of the coefficients these are needed: pivot, difference, invstd (e) and gamma (f).

alias Shift = Values;

fn upstream(value: Word, gradient: Word, added: Word, k: Coefficients, shift: Shift) -> Values {
    let z = times(times((unpack(value) - k.a) - k.b, k.e), k.f) + shift;
    return through(plus_residual(z, added), unpack(gradient));
}
