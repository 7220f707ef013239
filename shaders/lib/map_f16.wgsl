// uses: walk
// Applies the kernel's `map_value(channel, a, b, c)` to each value of a word. Written out: a loop over a private array is
// memory traffic on drivers that do not unroll.

fn map_word(a: Word, b: Word, c: Word, at: Place) -> Word {
    let a_pair = unpack2x16float(a);
    let b_pair = unpack2x16float(b);
    let c_pair = unpack2x16float(c);
    let low = map_value(at.channel, a_pair.x, b_pair.x, c_pair.x);
    return pack(low, map_value(next_value(at).channel, a_pair.y, b_pair.y, c_pair.y));
}
