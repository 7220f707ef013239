// Tensors stored as f32: one value a word.

alias Word = f32;
const WORD_VALUES = 1u;

fn value_at(word: Word, index: u32) -> f32 {
    return word;
}

// The last word of a tensor that fills it only in part: the rest keeps its bits.
fn keep_tail(word: Word, old: Word) -> Word {
    return word;
}
