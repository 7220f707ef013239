// A batch is let into the channels where its statistics are finite.

fn layer_verdict(me: Invocation) -> bool {
    return true;
}

fn accepts(layer: bool, channel: u32) -> bool {
    return is_channel_finite(channel);
}
