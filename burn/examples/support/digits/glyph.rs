//! The ten digits as strokes, in a box from -1 to 1 with y pointing down.

use std::f32::consts::{FRAC_PI_2, PI, TAU};

/// A point of a stroke.
pub type Point = (f32, f32);

/// A polyline fine enough to be bent.
pub type Stroke = Vec<Point>;

/// Points of a whole turn, and of a straight line.
const TURN: f32 = 24.0;
const LINE: usize = 6;

pub fn strokes(digit: usize) -> Vec<Stroke> {
    match digit {
        0 => vec![arc((0.0, 0.0), (0.52, 0.9), 0.0, TAU)],
        1 => vec![line(&[(-0.32, -0.52), (0.06, -0.9), (0.06, 0.9)])],
        2 => vec![
            arc((0.0, -0.42), (0.48, 0.48), -PI, 0.6),
            line(&[(0.396, -0.149), (-0.5, 0.9), (0.52, 0.9)]),
        ],
        3 => vec![
            arc((-0.04, -0.45), (0.46, 0.45), -0.85 * PI, FRAC_PI_2),
            arc((-0.04, 0.44), (0.52, 0.46), -FRAC_PI_2, 0.85 * PI),
        ],
        4 => vec![line(&[(0.2, -0.9), (-0.52, 0.32), (0.56, 0.32)]), line(&[(0.26, -0.25), (0.26, 0.9)])],
        5 => vec![
            line(&[(0.44, -0.9), (-0.34, -0.9), (-0.4, -0.08)]),
            arc((0.0, 0.32), (0.5, 0.57), -0.78 * PI, 0.85 * PI),
        ],
        6 => vec![arc((0.0, 0.4), (0.48, 0.5), 0.0, TAU), arc((0.45, 0.4), (0.93, 1.3), PI, 1.45 * PI)],
        7 => vec![line(&[(-0.5, -0.9), (0.52, -0.9), (-0.12, 0.9)])],
        8 => vec![arc((0.0, -0.46), (0.4, 0.43), 0.0, TAU), arc((0.0, 0.43), (0.5, 0.47), 0.0, TAU)],
        _ => vec![arc((0.0, -0.4), (0.48, 0.5), 0.0, TAU), arc((-0.45, -0.4), (0.93, 1.3), 0.0, 0.45 * PI)],
    }
}

fn arc(centre: Point, radii: (f32, f32), from: f32, to: f32) -> Stroke {
    let steps = ((to - from) / TAU * TURN).ceil();
    let at = |step: usize| {
        let angle = from + (to - from) * step as f32 / steps;
        (centre.0 + radii.0 * angle.cos(), centre.1 + radii.1 * angle.sin())
    };
    (0..=steps as usize).map(at).collect()
}

fn line(corners: &[Point]) -> Stroke {
    let mut stroke = vec![corners[0]];
    for ends in corners.windows(2) {
        let (from, to) = (ends[0], ends[1]);
        for step in 1..=LINE {
            let part = step as f32 / LINE as f32;
            stroke.push((from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part));
        }
    }
    stroke
}
