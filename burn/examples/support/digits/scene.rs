//! One image: a ground, fragments of other digits, the digit, fragments over it, noise.

use std::f32::consts::TAU;

use super::glyph::{self, Stroke};
use super::raster::coverage;
use super::style::Style;
use crate::data::images::CLASSES;
use crate::random::Random;

/// A value for each channel, from 0 to 1.
type Colour = [f32; 3];

/// Segments in a fragment of clutter.
const FRAGMENT: usize = 7;

pub fn draw(style: &Style, digit: usize, random: &mut Random, image: &mut [u8]) {
    let plane = style.extent * style.extent;
    // Grey images are drawn in their first colour alone.
    let mut canvas = vec![[0.0_f32; 3]; plane];
    let (from, to, ink) = colours(style, random);
    let direction = TAU * random.uniform();
    for (index, pixel) in canvas.iter_mut().enumerate() {
        let at = |position: usize| (position as f32 + 0.5) / style.extent as f32 - 0.5;
        let (x, y) = (at(index % style.extent), at(index / style.extent));
        *pixel = mix(from, to, 0.5 + 0.7 * (x * direction.cos() + y * direction.sin()));
    }
    for _ in 0..style.clutter.0 {
        fragment(style, random, &mut canvas);
    }
    let strokes = place(style, glyph::strokes(digit), style.shift, random);
    paint(&mut canvas, &coverage(&strokes, random.within(style.pen.0, style.pen.1), style.extent), ink);
    for _ in 0..style.clutter.1 {
        fragment(style, random, &mut canvas);
    }
    for (index, value) in image.iter_mut().enumerate() {
        let level = canvas[index % plane][index / plane] + style.noise * random.normal();
        *value = (level * 255.0).round().clamp(0.0, 255.0) as u8;
    }
}

/// Both ends of the ground, and the digit's.
fn colours(style: &Style, random: &mut Random) -> (Colour, Colour, Colour) {
    if style.channels == 1 {
        return ([0.0; 3], [0.0; 3], [random.within(style.contrast, 1.0); 3]);
    }
    loop {
        let [from, ink] = [colour(random), colour(random)];
        let to = mix(from, colour(random), 0.4);
        if brightness(ink) - brightness(from).max(brightness(to)) >= style.contrast {
            return (from, to, ink);
        }
    }
}

fn colour(random: &mut Random) -> Colour {
    [random.uniform(), random.uniform(), random.uniform()]
}

fn brightness(colour: Colour) -> f32 {
    colour.iter().sum::<f32>() / 3.0
}

fn mix(a: Colour, b: Colour, part: f32) -> Colour {
    [0, 1, 2].map(|channel| a[channel] + (b[channel] - a[channel]) * part.clamp(0.0, 1.0))
}

/// Part of a stroke of some digit, anywhere, in any colour.
fn fragment(style: &Style, random: &mut Random, canvas: &mut [Colour]) {
    let mut strokes = glyph::strokes(random.below(CLASSES));
    let mut stroke = strokes.swap_remove(random.below(strokes.len()));
    let first = random.below(stroke.len().saturating_sub(FRAGMENT).max(1));
    stroke = stroke.into_iter().skip(first).take(FRAGMENT).collect();
    let strokes = place(style, vec![stroke], 0.9, random);
    let covered = coverage(&strokes, random.within(style.pen.0, style.pen.1), style.extent);
    paint(canvas, &covered, colour(random));
}

fn paint(canvas: &mut [Colour], covered: &[f32], ink: Colour) {
    for (pixel, &covered) in canvas.iter_mut().zip(covered) {
        *pixel = mix(*pixel, ink, covered);
    }
}

/// Bends, turns, shears, scales and moves.
fn place(style: &Style, mut strokes: Vec<Stroke>, shift: f32, random: &mut Random) -> Vec<Stroke> {
    let mut either = |limit: f32| random.within(-limit, limit);
    let (angle, shear) = (either(style.rotation), either(style.shear));
    let (dx, dy) = (either(shift), either(shift));
    // Two waves, one along each axis, of about half a period over the digit.
    let waves: [[f32; 4]; 2] =
        [0, 1].map(|_| [either(style.warp), either(2.0), either(2.0), either(TAU / 2.0)]);
    let scale = random.within(style.scale.0, style.scale.1);
    let aspect = random.within(0.85, 1.15);
    let (sin, cos) = angle.sin_cos();
    for point in strokes.iter_mut().flatten() {
        let (x, y) = *point;
        let [bent_x, bent_y] = waves.map(|[amplitude, kx, ky, phase]| {
            amplitude * ((kx * x + ky * y + phase).sin() + (2.0 * kx * y - ky * x).sin())
        });
        let (x, y) = ((x + bent_x) * aspect, y + bent_y);
        let x = x + shear * y;
        *point = (scale * (cos * x - sin * y) + dx, scale * (sin * x + cos * y) + dy);
    }
    strokes
}
