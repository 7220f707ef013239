//! Images as a network gets them: with photometric distortion to learn from, without to be tested on.

use burn::tensor::TensorData;

use crate::data::images::Images;
use crate::random::Random;

/// Adds an image to `values`, its brightness, contrast and balance of colours changed as far as `strength` says, by the
/// mean and deviation of all images.
pub fn distorted(
    images: &Images,
    index: usize,
    (mean, deviation): (f32, f32),
    strength: f32,
    random: &mut Random,
    values: &mut Vec<f32>,
) {
    let brightness = random.within(-0.5, 0.5) * strength;
    let contrast = (random.within(-0.7, 0.7) * strength).exp();
    for plane in images.image(index).chunks_exact(images.height * images.width) {
        let gain = contrast * (random.within(-0.3, 0.3) * strength).exp();
        let shift = brightness + random.within(-0.3, 0.3) * strength;
        values.extend(plane.iter().map(|&value| gain * (f32::from(value) - mean) / deviation + shift));
    }
}

/// Undistorted images `first..first + count`, and their labels, by the moments of those to learn from.
pub fn plain(images: &Images, moments: (f32, f32), first: usize, count: usize) -> (TensorData, &[u8]) {
    let size = images.size();
    let pixels = &images.pixels[first * size..(first + count) * size];
    let values: Vec<f32> = pixels.iter().map(|&value| (f32::from(value) - moments.0) / moments.1).collect();
    let shape = [count, images.channels, images.height, images.width];
    (TensorData::new(values, shape), &images.labels[first..first + count])
}
