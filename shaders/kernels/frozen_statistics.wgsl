// uses: params grid saved mean
// binds: running_var read, saved read_write
// The running statistics as the forward pass of a batch would have saved them, for the backward pass of inference.
// grid: WORKGROUP channels
// memory: no tensor

@compute @workgroup_size(WORKGROUP)
fn frozen_statistics(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, me: Invocation) {
    let channel = workgroup_index(id, grid) * WORKGROUP + me.local;
    if (channel < params.channels) {
        let variance = running_var[channel];
        saved[channel] = Saved(mean_of(channel), 0.0, variance, inverseSqrt(variance + params.eps));
    }
}
