//! What a network is shown at a step: which images, how distorted, which features it has to do without. All of it
//! follows from seed and step, so that a resumed run goes on as if it had never stopped.

use burn::tensor::TensorData;

use crate::data::images::Images;
use crate::random::Random;

/// Images of a shard: they lie together on disk, and are read in the order they lie in.
const SHARD: usize = 512;

/// Purposes of random numbers.
const ORDER: u64 = 1;
const DISTORTION: u64 = 2;
const DROPOUT: u64 = 3;

/// Batches of one run.
#[derive(Debug)]
pub struct Feed<'a> {
    images: &'a Images,
    seed: u64,
    batch: usize,
    reshuffle: bool,
    distortion: f32,
    moments: (f32, f32),
    /// The epoch that is being read, and its images in order.
    epoch: Option<(usize, Vec<usize>)>,
}

impl<'a> Feed<'a> {
    pub fn new(images: &'a Images, seed: u64, batch: usize, reshuffle: bool, distortion: f32) -> Self {
        Self { images, seed, batch, reshuffle, distortion, moments: images.moments(), epoch: None }
    }

    /// Images and labels of a step, counted from 0.
    pub fn batch(&mut self, step: usize) -> (TensorData, Vec<u8>) {
        let batches = self.images.len() / self.batch;
        let (epoch, number) = (step / batches, step % batches);
        if self.epoch.as_ref().is_none_or(|(known, _)| *known != epoch) {
            self.epoch = Some((epoch, self.order(epoch)));
        }
        let order = self.epoch.as_ref().map(|(_, order)| order.as_slice()).unwrap_or_default();
        let chosen = &order[number * self.batch..][..self.batch];
        let mut values = Vec::with_capacity(self.batch * self.images.size());
        for (place, &index) in chosen.iter().enumerate() {
            let mut random = Random::new(&[self.seed, DISTORTION, step as u64, place as u64]);
            self.distorted(index, &mut random, &mut values);
        }
        let labels = chosen.iter().map(|&index| self.images.labels[index]).collect();
        let Images { channels, height, width, .. } = *self.images;
        (TensorData::new(values, [self.batch, channels, height, width]), labels)
    }

    /// Thorough shuffling mixes all images anew. Without it shards come in a new order, and what is in a shard stays
    /// as it lies: the same images meet in a batch again and again.
    fn order(&self, epoch: usize) -> Vec<usize> {
        let mut random = Random::new(&[self.seed, ORDER, epoch as u64]);
        let count = self.images.len();
        if self.reshuffle {
            return random.permutation(count);
        }
        let shards = random.permutation(count.div_ceil(SHARD));
        shards.into_iter().flat_map(|shard| shard * SHARD..((shard + 1) * SHARD).min(count)).collect()
    }

    /// Photometric distortion: brightness, contrast, and the balance of colours.
    fn distorted(&self, index: usize, random: &mut Random, values: &mut Vec<f32>) {
        let Images { channels, height, width, .. } = *self.images;
        let (mean, deviation) = self.moments;
        let brightness = random.within(-0.5, 0.5) * self.distortion;
        let contrast = (random.within(-0.7, 0.7) * self.distortion).exp();
        let image = self.images.image(index);
        for plane in image.chunks_exact(height * width).take(channels) {
            let gain = contrast * (random.within(-0.3, 0.3) * self.distortion).exp();
            let shift = brightness + random.within(-0.3, 0.3) * self.distortion;
            values.extend(plane.iter().map(|&value| gain * (f32::from(value) - mean) / deviation + shift));
        }
    }

    /// A factor for each feature of each image: 0, or as much more as keeps the mean.
    pub fn kept(&self, step: usize, features: usize, keep: f32) -> TensorData {
        let mut random = Random::new(&[self.seed, DROPOUT, step as u64]);
        let factor = |random: &mut Random| if random.uniform() < keep { keep.recip() } else { 0.0 };
        let factors: Vec<f32> = (0..self.batch * features).map(|_| factor(&mut random)).collect();
        TensorData::new(factors, [self.batch, features])
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

    #[test]
    fn an_epoch_has_every_image_once() {
        let images = render(&CLUTTERED, 1, 0, 1500);
        for reshuffle in [false, true] {
            let feed = Feed::new(&images, 9, 8, reshuffle, 1.0);
            let mut order = feed.order(4);
            order.sort_unstable();
            assert_eq!(order, (0..1500).collect::<Vec<_>>());
        }
    }
}
