// uses: invocation
// A one-dimensional grid folded into two dimensions, since one holds 65535 workgroups at most.

fn workgroup_index(id: vec3<u32>, grid: vec3<u32>) -> u32 {
    return id.x + id.y * grid.x;
}
