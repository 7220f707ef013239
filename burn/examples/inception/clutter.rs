//! How the digits of this example look.

use crate::digits::Style;

/// In any colour on any darker ground, among fragments of others.
pub const CLUTTERED: Style = Style {
    name: "generated digits among clutter 3x32x32",
    channels: 3,
    extent: 32,
    rotation: 0.5,
    shear: 0.3,
    scale: (0.55, 0.85),
    shift: 0.2,
    warp: 0.1,
    pen: (0.06, 0.14),
    clutter: (2, 1),
    contrast: 0.2,
    noise: 0.06,
};
