// uses: params grid elements each source gamma
// binds: y read_write, running_var read
// The weight of a layer before a batch norm: each value times gamma / sqrt(var + eps) of its output channel.
// grid: flat over the words of the weight, ITEMS a piece
// memory: weight once, folded weight once

// Divides for each value, as it may: a weight is folded once. chunk is the values of one group.
fn each_value(index: u32, value: f32) -> f32 {
    let group = index / params.chunk;
    let channel = params.first_channel + index / params.inner % params.channels + group * params.channels;
    return (value * inverseSqrt(running_var[channel] + params.eps)) * gamma_of(channel);
}

@compute @workgroup_size(WORKGROUP)
fn fold_weight(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, me: Invocation) {
    let first = workgroup_index(id, grid) * WORKGROUP * ITEMS + me.local;
    for (var item = 0u; item < ITEMS; item += 1u) {
        let index = (first + item * WORKGROUP) * WORD_VALUES;
        let word = params.first + first + item * WORKGROUP;
        if (index >= params.len) {
            return;
        }
        let mapped = each_of_word(index, x_at(word));
        if (index + WORD_VALUES <= params.len) {
            y[word] = mapped;
        } else {
            y[word] = keep_tail(mapped, y[word]);
        }
    }
}
