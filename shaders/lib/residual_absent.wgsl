// No residual is added.

fn residual_at(address: u32) -> Word {
    return Word();
}

fn plus_value(z: f32, added: f32) -> f32 {
    return z;
}
