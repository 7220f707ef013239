// uses: params grid elements map input gradient_source residual upstream_word
// binds: dresidual read_write
// The gradient by the residual, which is the one by z: dy through the activation.
// grid: flat over the words of the tensor, ITEMS a piece
// memory: x once, dy once, residual once, dresidual once

fn map_value(channel_in_slice: u32, value: f32, gradient: f32, added: f32) -> f32 {
    return upstream_value(params.first_channel + channel_in_slice, value, gradient, added);
}

@compute @workgroup_size(WORKGROUP)
fn grad_residual(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, me: Invocation) {
    let first = workgroup_index(id, grid) * WORKGROUP * ITEMS + me.local;
    var at = place_of(first * WORD_VALUES);
    for (var item = 0u; item < ITEMS; item += 1u) {
        let index = (first + item * WORKGROUP) * WORD_VALUES;
        let word = params.first + first + item * WORKGROUP;
        if (index >= params.len) {
            return;
        }
        let mapped = map_word(x_at(word), dy_at(word), residual_at(word), at);
        if (index + WORD_VALUES <= params.len) {
            dresidual[word] = mapped;
        } else {
            dresidual[word] = keep_tail(mapped, dresidual[word]);
        }
        at = next_item(at);
    }
}
