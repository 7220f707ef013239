// uses: params
// Every batch is let in with the same weight, and nobody counts.

fn count_update(channel: u32) -> f32 {
    return params.momentum;
}

fn count_skip(channel: u32) {}
