// binds: dbeta read_write

fn write_dbeta(channel: u32, value: f32) {
    dbeta[channel] = value;
}
