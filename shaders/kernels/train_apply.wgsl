// uses: params grid elements map source residual activate_word saved gamma beta
// binds: y read_write, saved read
// Algorithm 1 lines 3 and 4: y = gamma * (x - mean) * invstd + beta, with the mean in two parts.
// grid: flat over the words of the tensor, ITEMS a piece
// memory: x once, y once

fn map_value(channel_in_slice: u32, value: f32, added: f32, unused: f32) -> f32 {
    let channel = params.first_channel + channel_in_slice;
    let s = saved[channel];
    // invstd first: what is centered and scaled fits f32, gamma * invstd may not.
    let z = (centered(value, s) * s.invstd) * gamma_of(channel) + beta_of(channel);
    return activate_one(plus_value(z, added));
}

@compute @workgroup_size(WORKGROUP)
fn train_apply(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, me: Invocation) {
    let first = workgroup_index(id, grid) * WORKGROUP * ITEMS + me.local;
    var at = place_of(first * WORD_VALUES);
    for (var item = 0u; item < ITEMS; item += 1u) {
        let index = (first + item * WORKGROUP) * WORD_VALUES;
        let word = params.first + first + item * WORKGROUP;
        if (index >= params.len) {
            return;
        }
        let value = x_at(word);
        let mapped = map_word(value, residual_at(word), value, at);
        if (index + WORD_VALUES <= params.len) {
            y[word] = mapped;
        } else {
            y[word] = keep_tail(mapped, y[word]);
        }
        at = next_item(at);
    }
}
