// uses: params
// Which channel a value of the tensor belongs to, carried from item to item: the only divisions are at the start.

struct Place {
    channel: u32,
    // Position inside the run of `inner` values of one channel.
    position: u32,
}

fn place_of(index: u32) -> Place {
    let run = index / params.inner;
    return Place(run % params.channels, index - run * params.inner);
}

// The place of the value `distance` further on, given as distance / inner % channels and distance % inner.
fn place_after(at: Place, channels: u32, positions: u32) -> Place {
    var next = Place(at.channel + channels, at.position + positions);
    if (next.position >= params.inner) {
        next.position -= params.inner;
        next.channel += 1u;
    }
    if (next.channel >= params.channels) {
        next.channel -= params.channels;
    }
    return next;
}

// The place one item of a flat kernel further on.
fn next_item(at: Place) -> Place {
    return place_after(at, params.item_channels, params.item_positions);
}

// The place of the next value, inside a word.
fn next_value(at: Place) -> Place {
    return place_after(at, 0u, 1u);
}
