// binds: residual read

fn residual_at(address: u32) -> Word {
    return residual[address];
}

fn plus_value(z: f32, added: f32) -> f32 {
    return z + added;
}
