// uses: upstream
// Where dx is written the gradient by z is at hand, in place of dy: it fits the storage type.

fn keep(gradient: Word, through: Values) -> Word {
    return pack(through);
}

fn later(value: Word, gradient: Word, added: Word, k: Coefficients, shift: Shift) -> Values {
    return unpack(gradient);
}
