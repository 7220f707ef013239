// uses: block channels
// The gradient by z = gamma * x_hat + beta: with nothing between z and y it is dy.

alias Shift = f32;

fn shift_at(block: u32, position: u32) -> Shift {
    return 0.0;
}

fn upstream(value: Word, gradient: Word, added: Word, k: Coefficients, shift: Shift) -> Values {
    return unpack(gradient);
}
