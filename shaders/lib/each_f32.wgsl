// The kernel's `each_value(index, value)` of the value in a word.

fn each_of_word(index: u32, word: Word) -> Word {
    return each_value(index, word);
}
