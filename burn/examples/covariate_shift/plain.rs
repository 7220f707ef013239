//! How the digits of this example look.

use crate::digits::Style;

/// White on black, as MNIST has them.
pub const PLAIN: Style = Style {
    name: "generated digits 28x28",
    channels: 1,
    extent: 28,
    rotation: 0.3,
    shear: 0.25,
    scale: (0.55, 0.8),
    shift: 0.15,
    warp: 0.09,
    pen: (0.05, 0.13),
    clutter: (0, 0),
    contrast: 0.6,
    noise: 0.05,
};
