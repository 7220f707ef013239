// Tensors stored as f16, two values a word: needs no SHADER_F16.

alias Word = u32;
const WORD_VALUES = 2u;

fn pack(low: f32, high: f32) -> Word {
    return to_f16(low) | (to_f16(high) << 16u);
}

// Rounds to nearest even by integers: pack2x16float may round either way
// (Vulkan leaves it open, D3D truncates).
fn to_f16(value: f32) -> u32 {
    let bits = bitcast<u32>(value);
    let sign = (bits >> 16u) & 0x8000u;
    let magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {
        return sign | 0x7e00u;
    }
    // 65520 and above round to infinity.
    if (magnitude >= 0x477ff000u) {
        return sign | 0x7c00u;
    }
    // Below 2^-14 the result is a multiple of 2^-24, which is the spacing of f32 at 0.5.
    if (magnitude < 0x38800000u) {
        return sign | (bitcast<u32>(bitcast<f32>(magnitude) + 0.5) - 0x3f000000u);
    }
    // Rebias the exponent from 127 to 15, then round half to even at bit 13.
    let rebiased = magnitude - 0x38000000u;
    return sign | ((rebiased + 0xfffu + ((rebiased >> 13u) & 1u)) >> 13u);
}

fn value_at(word: Word, index: u32) -> f32 {
    let pair = unpack2x16float(word);
    return select(pair.x, pair.y, (index & 1u) == 1u);
}

// The last word of a tensor that fills it only in part: the rest keeps its bits.
fn keep_tail(word: Word, old: Word) -> Word {
    return (word & 0xffffu) | (old & 0xffff0000u);
}
