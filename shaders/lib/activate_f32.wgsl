// uses: vectors activation
// The activation of all values of a vector, and a gradient through it.

fn activate(z: Values) -> Values {
    return activate_four(z);
}

fn through(z: Values, gradients: Values) -> Values {
    return through_four(z, gradients);
}
