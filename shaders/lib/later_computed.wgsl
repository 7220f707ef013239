// uses: gradient_source residual upstream
// Where dx is written the gradient by z is computed again.

fn gradient_at(address: u32) -> Word {
    return dy_at(address);
}

fn added_at(address: u32) -> Word {
    return residual_at(address);
}

fn keep(gradient: Word, through: Values) -> Word {
    return gradient;
}

fn later(value: Word, gradient: Word, added: Word, k: Coefficients, shift: Shift) -> Values {
    return upstream(value, gradient, added, k, shift);
}
