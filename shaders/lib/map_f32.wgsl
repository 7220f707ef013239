// uses: walk
// Applies the kernel's `map_value(channel, a, b, c)` to each value of a word. Written out: a loop over a private array is
// memory traffic on drivers that do not unroll.

fn map_word(a: Word, b: Word, c: Word, at: Place) -> Word {
    return map_value(at.channel, a, b, c);
}
