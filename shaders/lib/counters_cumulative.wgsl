// uses: counters_record
// binds: counters read_write
// The average of all batches: the n-th has a weight of 1 / n, and is counted before.

fn count_update(channel: u32) -> f32 {
    counters[channel].updates = one_more(counters[channel].updates);
    return 1.0 / f32(counters[channel].updates);
}

fn count_skip(channel: u32) {
    counters[channel].skipped = one_more(counters[channel].skipped);
}
