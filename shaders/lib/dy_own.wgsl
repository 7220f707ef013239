// binds: dy read
// dy has memory of its own.

fn dy_at(address: u32) -> Word {
    return dy[address];
}
