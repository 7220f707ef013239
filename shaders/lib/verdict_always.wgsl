// Every batch is let in.

fn layer_verdict(me: Invocation) -> bool {
    return true;
}

fn accepts(layer: bool, channel: u32) -> bool {
    return true;
}
