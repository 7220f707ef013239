// No running statistics are kept.

fn update_running(channel: u32, mean: f32, m2: f32, count: u32) {}
