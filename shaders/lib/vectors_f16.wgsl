// Tensors stored as f16, eight values to a load of 16 bytes: needs no SHADER_F16.

alias Word = vec4<u32>;
// Two columns of four: matrices add, subtract and scale by each of their values.
alias Values = mat2x4<f32>;
const LANES = 8u;

fn unpack(word: Word) -> Values {
    return Values(
        vec4<f32>(unpack2x16float(word.x), unpack2x16float(word.y)),
        vec4<f32>(unpack2x16float(word.z), unpack2x16float(word.w)),
    );
}

fn pack(values: Values) -> Word {
    let low = to_f16(values[0]);
    let high = to_f16(values[1]);
    return vec4<u32>(low.xz | (low.yw << vec2<u32>(16u)), high.xz | (high.yw << vec2<u32>(16u)));
}

// Rounds to nearest even by integers: pack2x16float may round either way
// (Vulkan leaves it open, D3D truncates).
fn to_f16(values: vec4<f32>) -> vec4<u32> {
    let bits = bitcast<vec4<u32>>(values);
    let magnitude = bits & vec4<u32>(0x7fffffffu);
    // Rebias the exponent from 127 to 15, then round half to even at bit 13.
    let odd = (magnitude >> vec4<u32>(13u)) & vec4<u32>(1u);
    var half = (magnitude - vec4<u32>(0x37fff001u) + odd) >> vec4<u32>(13u);
    // Below 2^-14 the result is a multiple of 2^-24, which is the spacing of f32 at 0.5.
    let small = bitcast<vec4<u32>>(bitcast<vec4<f32>>(magnitude) + vec4<f32>(0.5)) - vec4<u32>(0x3f000000u);
    half = select(half, small, magnitude < vec4<u32>(0x38800000u));
    // 65520 and above round to infinity.
    half = select(half, vec4<u32>(0x7c00u), magnitude >= vec4<u32>(0x477ff000u));
    half = select(half, vec4<u32>(0x7e00u), magnitude > vec4<u32>(0x7f800000u));
    return half | ((bits >> vec4<u32>(16u)) & vec4<u32>(0x8000u));
}

fn splat(value: f32) -> Values {
    return Values(vec4<f32>(value), vec4<f32>(value));
}

fn times(a: Values, b: Values) -> Values {
    return Values(a[0] * b[0], a[1] * b[1]);
}

fn total(values: Values) -> f32 {
    let sum = values[0] + values[1];
    return (sum.x + sum.y) + (sum.z + sum.w);
}

// The values, and others in place of infinities and NaN.
fn finite_or(values: Values, others: Values) -> Values {
    return Values(finite_half(values[0], others[0]), finite_half(values[1], others[1]));
}

fn finite_half(values: vec4<f32>, others: vec4<f32>) -> vec4<f32> {
    let exponent = bitcast<vec4<u32>>(values) & vec4<u32>(0x7f800000u);
    return select(values, others, exponent == vec4<u32>(0x7f800000u));
}

fn lane(values: Values, number: u32) -> f32 {
    let column = select(values[0], values[1], number >= 4u);
    return column[number % 4u];
}
