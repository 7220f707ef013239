// dy lies where dx is written: whoever writes a word has read it before.

fn dy_at(address: u32) -> Word {
    return dx[address];
}
