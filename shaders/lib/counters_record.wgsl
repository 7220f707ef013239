// What has become of the batches of a channel.

struct Counters {
    updates: u32,
    skipped: u32,
}

// Stays where it ends: 0 would be the weight of an infinity.
fn one_more(count: u32) -> u32 {
    return min(count, 0xfffffffeu) + 1u;
}
