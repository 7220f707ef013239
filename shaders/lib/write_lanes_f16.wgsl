// The eight lanes of a vector in workgroup memory.

fn write_lanes(first: u32, values: Values) {
    columns[first] = values[0].x;
    columns[first + 1u] = values[0].y;
    columns[first + 2u] = values[0].z;
    columns[first + 3u] = values[0].w;
    columns[first + 4u] = values[1].x;
    columns[first + 5u] = values[1].y;
    columns[first + 6u] = values[1].z;
    columns[first + 7u] = values[1].w;
}
