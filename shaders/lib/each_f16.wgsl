// The kernel's `each_value(index, value)` of the values in a word.

fn each_of_word(index: u32, word: Word) -> Word {
    let pair = unpack2x16float(word);
    return pack(each_value(index, pair.x), each_value(index + 1u, pair.y));
}
