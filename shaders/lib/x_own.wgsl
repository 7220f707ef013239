// binds: x read
// x has memory of its own.

fn x_at(address: u32) -> Word {
    return x[address];
}
