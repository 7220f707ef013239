// uses: params grid saved finite running_target counters verdict
// binds: saved read
// Moving averages, algorithm 2 lines 7 to 11, of the statistics that a forward pass has saved.
// grid: WORKGROUP channels at a time; one workgroup where the whole layer has to agree
// memory: no tensor

fn is_channel_finite(channel: u32) -> bool {
    let s = saved[channel];
    return is_finite(s.pivot + s.difference) && is_finite(s.variance);
}

@compute @workgroup_size(WORKGROUP)
fn running_update(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, me: Invocation) {
    let group = workgroup_index(id, grid);
    let layer = layer_verdict(me);
    // More workgroups than needed have no channel, and none is missed where there is one alone.
    for (var channel = group * WORKGROUP + me.local; channel < params.channels; channel += params.workgroups * WORKGROUP) {
        let s = saved[channel];
        let old = Running(old_mean(channel), old_var(channel));
        if (params.count <= params.correction) {
            // An empty batch has nothing to say, and does not count.
            store_running(channel, old);
        } else if (accepts(layer, channel)) {
            let weight = count_update(channel);
            let variance = s.variance * (f32(params.count) / f32(params.count - params.correction));
            let mean = s.pivot + s.difference;
            let keeps = 1.0 - weight;
            store_running(channel, Running(keeps * old.mean + weight * mean, keeps * old.variance + weight * variance));
        } else {
            count_skip(channel);
            store_running(channel, old);
        }
    }
}
