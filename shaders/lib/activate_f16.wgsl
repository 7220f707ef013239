// uses: vectors activation
// The activation of all values of a vector, and a gradient through it.

fn activate(z: Values) -> Values {
    return Values(activate_four(z[0]), activate_four(z[1]));
}

fn through(z: Values, gradients: Values) -> Values {
    return Values(through_four(z[0], gradients[0]), through_four(z[1], gradients[1]));
}
