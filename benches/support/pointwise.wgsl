// A residual and a ReLU as a launch of their own, forward and backward: what a layer without a fused tail is followed by.
// TYPE is vec4<f32>, or vec4<u32> of eight f16; STEP is the function below for direction and type.

@group(0) @binding(0) var<storage, read> first: array<TYPE>;
@group(0) @binding(1) var<storage, read> second: array<TYPE>;
@group(0) @binding(2) var<storage, read_write> result: array<TYPE>;

const ITEMS = 4u;

fn halves(word: vec4<u32>) -> mat2x4<f32> {
    return mat2x4<f32>(
        vec4<f32>(unpack2x16float(word.x), unpack2x16float(word.y)),
        vec4<f32>(unpack2x16float(word.z), unpack2x16float(word.w)),
    );
}

fn packed(values: mat2x4<f32>) -> vec4<u32> {
    return vec4<u32>(
        pack2x16float(values[0].xy),
        pack2x16float(values[0].zw),
        pack2x16float(values[1].xy),
        pack2x16float(values[1].zw),
    );
}

// Forward: ReLU of the sum of y and the residual. Backward: the gradient where y is above 0.
fn forward_f32(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return max(a + b, vec4<f32>(0.0));
}

fn backward_f32(y: vec4<f32>, dy: vec4<f32>) -> vec4<f32> {
    return select(vec4<f32>(0.0), dy, y > vec4<f32>(0.0));
}

fn forward_f16(a: vec4<u32>, b: vec4<u32>) -> vec4<u32> {
    let sum = halves(a) + halves(b);
    return packed(mat2x4<f32>(max(sum[0], vec4<f32>(0.0)), max(sum[1], vec4<f32>(0.0))));
}

fn backward_f16(y: vec4<u32>, dy: vec4<u32>) -> vec4<u32> {
    let of_y = halves(y);
    let of_dy = halves(dy);
    let low = select(vec4<f32>(0.0), of_dy[0], of_y[0] > vec4<f32>(0.0));
    let high = select(vec4<f32>(0.0), of_dy[1], of_y[1] > vec4<f32>(0.0));
    return packed(mat2x4<f32>(low, high));
}

@compute @workgroup_size(256)
fn pointwise(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let begin = (id.y * grid.x + id.x) * 256u * ITEMS + lane;
    for (var item = 0u; item < ITEMS; item += 1u) {
        let index = begin + item * 256u;
        if index < arrayLength(&result) {
            result[index] = STEP(first[index], second[index]);
        }
    }
}
