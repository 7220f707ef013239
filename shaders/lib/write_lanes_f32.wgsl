// The four lanes of a vector in workgroup memory.

fn write_lanes(first: u32, values: Values) {
    columns[first] = values.x;
    columns[first + 1u] = values.y;
    columns[first + 2u] = values.z;
    columns[first + 3u] = values.w;
}
