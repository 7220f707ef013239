// Nothing depends on x.

fn x_at(address: u32) -> Word {
    return Word();
}
