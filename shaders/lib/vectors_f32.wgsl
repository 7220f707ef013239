// Tensors stored as f32, four values to a load of 16 bytes.

alias Word = vec4<f32>;
alias Values = vec4<f32>;
const LANES = 4u;

fn unpack(word: Word) -> Values {
    return word;
}

fn pack(values: Values) -> Word {
    return values;
}

fn splat(value: f32) -> Values {
    return vec4<f32>(value);
}

fn times(a: Values, b: Values) -> Values {
    return a * b;
}

fn total(values: Values) -> f32 {
    return (values.x + values.y) + (values.z + values.w);
}

// The values, and others in place of infinities and NaN.
fn finite_or(values: Values, others: Values) -> Values {
    let exponent = bitcast<vec4<u32>>(values) & vec4<u32>(0x7f800000u);
    return select(values, others, exponent == vec4<u32>(0x7f800000u));
}

fn lane(values: Values, number: u32) -> f32 {
    return values[number];
}
