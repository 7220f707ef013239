// x lies where y is written: whoever writes a word has read it before.

fn x_at(address: u32) -> Word {
    return y[address];
}
