// uses: params counters_record
// binds: counters read_write
// A constant weight, with a count of the batches let in and not.

fn count_update(channel: u32) -> f32 {
    counters[channel].updates = one_more(counters[channel].updates);
    return params.momentum;
}

fn count_skip(channel: u32) {
    counters[channel].skipped = one_more(counters[channel].skipped);
}
