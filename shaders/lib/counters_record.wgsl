// What has become of the batches of a channel.

struct Counters {
    updates: u32,
    skipped: u32,
}
