//! Strokes to coverage: how much of each pixel a pen of some width has painted.

use super::glyph::{Point, Stroke};

/// Painted part of each pixel, row by row, of an image from -1 to 1 either way.
pub fn coverage(strokes: &[Stroke], pen: f32, extent: usize) -> Vec<f32> {
    let mut covered = vec![0.0_f32; extent * extent];
    let half = extent as f32 / 2.0;
    let reach = pen + 1.0 / half;
    let centre = |pixel: usize| (pixel as f32 + 0.5) / half - 1.0;
    let span = |low: f32, high: f32| {
        let first = ((low - reach + 1.0) * half - 0.5).ceil().max(0.0) as usize;
        let end = ((high + reach + 1.0) * half + 0.5).floor().clamp(0.0, extent as f32) as usize;
        first..end
    };
    for ends in strokes.iter().flat_map(|stroke| stroke.windows(2)) {
        let (from, to) = (ends[0], ends[1]);
        for row in span(from.1.min(to.1), from.1.max(to.1)) {
            for column in span(from.0.min(to.0), from.0.max(to.0)) {
                let distance = distance((centre(column), centre(row)), from, to);
                let value = ((pen - distance) * half + 0.5).clamp(0.0, 1.0);
                let pixel = &mut covered[row * extent + column];
                *pixel = pixel.max(value);
            }
        }
    }
    covered
}

/// Of a point from the line between two others.
fn distance(point: Point, from: Point, to: Point) -> f32 {
    let (along, off) = ((to.0 - from.0, to.1 - from.1), (point.0 - from.0, point.1 - from.1));
    let length = along.0 * along.0 + along.1 * along.1;
    let part =
        if length > 0.0 { ((off.0 * along.0 + off.1 * along.1) / length).clamp(0.0, 1.0) } else { 0.0 };
    (off.0 - along.0 * part).hypot(off.1 - along.1 * part)
}
