// uses: params grid elements map input gradient_source residual upstream_word saved gamma
// binds: saved read, dx read_write
// dx = gamma * invstd * (gradient by z): the statistics are given, and do not depend on x.
// grid: flat over the words of the tensor, ITEMS a piece
// memory: dy once, dx once; where there is an activation, x and residual once

fn map_value(channel_in_slice: u32, value: f32, gradient: f32, added: f32) -> f32 {
    let channel = params.first_channel + channel_in_slice;
    return (upstream_value(channel, value, gradient, added) * saved[channel].invstd) * gamma_of(channel);
}

@compute @workgroup_size(WORKGROUP)
fn frozen_apply(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, me: Invocation) {
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
            dx[word] = mapped;
        } else {
            dx[word] = keep_tail(mapped, dx[word]);
        }
        at = next_item(at);
    }
}
