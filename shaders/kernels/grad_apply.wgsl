// uses: params grid elements map input gradient_source residual upstream_word saved gradient_sums gamma
// binds: saved read, sums read, dx read_write
// dx = gamma * invstd * (dy - mean(dy) - (x - mean) * invstd^2 * mean(dy * (x - mean))):
// section 3 of the paper with its chain of derivatives multiplied out.
// grid: flat over the words of the tensor, ITEMS a piece
// memory: x once, dy once, dx once

fn map_value(channel_in_slice: u32, value: f32, gradient: f32, added: f32) -> f32 {
    let channel = params.first_channel + channel_in_slice;
    let s = saved[channel];
    let total = sums[channel];
    let count = f32(total.count);
    let projection = centered(value, s) * s.invstd * (s.invstd * (total.dy_centered / count));
    let u = upstream_value(channel, value, gradient, added);
    return (((u - total.dy / count) - projection) * s.invstd) * gamma_of(channel);
}

@compute @workgroup_size(WORKGROUP)
fn grad_apply(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, me: Invocation) {
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
