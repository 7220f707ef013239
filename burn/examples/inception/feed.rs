//! What a network is shown at a step: which images, how distorted, which features it has to do without. All of it
//! follows from seed and step, so that a resumed run goes on as if it had never stopped.

use burn::tensor::TensorData;

use crate::data::images::Images;
use crate::distortion::distorted;
use crate::order::Order;
use crate::random::Random;

/// Purposes of random numbers.
const DISTORTION: u64 = 2;
const DROPOUT: u64 = 3;

/// Batches of one run.
#[derive(Debug)]
pub struct Feed<'a> {
    images: &'a Images,
    seed: u64,
    batch: usize,
    distortion: f32,
    moments: (f32, f32),
    order: Order,
}

impl<'a> Feed<'a> {
    pub fn new(images: &'a Images, seed: u64, batch: usize, reshuffle: bool, distortion: f32) -> Self {
        let order = Order::new(images.len(), seed, reshuffle);
        Self { images, seed, batch, distortion, moments: images.moments(), order }
    }

    /// Images and labels of a step, counted from 0.
    pub fn batch(&mut self, step: usize) -> (TensorData, Vec<u8>) {
        let chosen = self.order.batch(step, self.batch);
        let mut values = Vec::with_capacity(self.batch * self.images.size());
        for (place, &index) in chosen.iter().enumerate() {
            let mut random = Random::new(&[self.seed, DISTORTION, step as u64, place as u64]);
            distorted(self.images, index, self.moments, self.distortion, &mut random, &mut values);
        }
        let labels = chosen.iter().map(|&index| self.images.labels[index]).collect();
        let Images { channels, height, width, .. } = *self.images;
        (TensorData::new(values, [self.batch, channels, height, width]), labels)
    }

    /// A factor for each feature of each image: 0, or as much more as keeps the mean.
    pub fn kept(&self, step: usize, features: usize, keep: f32) -> TensorData {
        let mut random = Random::new(&[self.seed, DROPOUT, step as u64]);
        let factor = |random: &mut Random| if random.uniform() < keep { keep.recip() } else { 0.0 };
        let factors: Vec<f32> = (0..self.batch * features).map(|_| factor(&mut random)).collect();
        TensorData::new(factors, [self.batch, features])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clutter::CLUTTERED;
    use crate::digits::render;

    #[test]
    fn a_step_shows_the_same_whatever_came_before() {
        let images = render(&CLUTTERED, 1, 0, 80);
        for reshuffle in [false, true] {
            let mut ran = Feed::new(&images, 9, 8, reshuffle, 1.0);
            let steps: Vec<_> = (0..25).map(|step| ran.batch(step)).collect();
            let mut resumed = Feed::new(&images, 9, 8, reshuffle, 1.0);
            assert_eq!(resumed.batch(23), steps[23]);
            assert_eq!(resumed.kept(3, 5, 0.5), ran.kept(3, 5, 0.5));
        }
    }
}
