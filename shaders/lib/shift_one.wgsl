// Beta, for a block of one channel.

fn shift_at(block: u32, position: u32) -> Shift {
    return splat(beta_of(params.first_channel + block));
}
