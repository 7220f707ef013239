//! How far digits are from clean ones.

/// Ranges that a scene is drawn from.
#[derive(Debug)]
pub struct Style {
    pub name: &'static str,
    pub channels: usize,
    pub extent: usize,
    /// Angle either way, in radians. 6 and 9 stay apart below a quarter turn.
    pub rotation: f32,
    pub shear: f32,
    /// Half the height of a digit, by half that of the image.
    pub scale: (f32, f32),
    /// Of the centre, in half extents.
    pub shift: f32,
    /// Of points of a stroke, by two waves over the digit.
    pub warp: f32,
    /// Half the width of a stroke.
    pub pen: (f32, f32),
    /// Fragments of other digits, below this one and over it.
    pub clutter: (usize, usize),
    /// By how much the digit is brighter than the ground, at least, of 1 from black to white.
    pub contrast: f32,
    /// Standard deviation of what is added to each value.
    pub noise: f32,
}
