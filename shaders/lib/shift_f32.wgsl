// Beta for each lane of a vector, where a block has several channels.

fn beta_in(block: u32, value: u32) -> f32 {
    return beta_of(params.first_channel + block * CHANNEL_LANES + channel_in_block(value));
}

fn shift_at(block: u32, position: u32) -> Shift {
    let first = position * LANES;
    return vec4<f32>(
        beta_in(block, first),
        beta_in(block, first + 1u),
        beta_in(block, first + 2u),
        beta_in(block, first + 3u),
    );
}
