// Standard normal values: PCG hashes (Jarzynski & Olano 2020) through Box and Muller, one pair to each two words or word.

struct Params {
    seed: u32,
    halves: u32,
}

@group(0) @binding(0) var<storage, read_write> words: array<u32>;
@group(0) @binding(1) var<uniform> params: Params;

fn hash(value: u32) -> u32 {
    let state = value * 747796405u + 2891336453u;
    let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (word >> 22u) ^ word;
}

fn pair(index: u32) -> vec2<f32> {
    let a = hash(index ^ hash(params.seed));
    let b = hash(a ^ 0x9e3779b9u);
    // In (0, 1], with 24 bits.
    let radius = sqrt(-2.0 * log((f32(a >> 8u) + 1.0) * 0x1p-24));
    let angle = 6.2831853 * f32(b >> 8u) * 0x1p-24;
    return radius * vec2(cos(angle), sin(angle));
}

@compute @workgroup_size(64)
fn fill(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>) {
    let count = arrayLength(&words);
    for (var i = id.x; i < count; i += grid.x * 64u) {
        if params.halves != 0u {
            words[i] = pack2x16float(pair(i));
        } else {
            words[i] = bitcast<u32>(pair(i).x);
        }
    }
}
