//! Which images meet in a batch.

use crate::random::Random;

/// Images of a shard: they lie together on disk, and are read in the order they lie in.
const SHARD: usize = 512;

/// Purpose of random numbers.
const ORDER: u64 = 1;

/// The images of one epoch after the other, which follow from the seed and the epoch alone.
#[derive(Debug)]
pub struct Order {
    count: usize,
    seed: u64,
    reshuffle: bool,
    /// The epoch that is being read, and its images in order.
    epoch: Option<(usize, Vec<usize>)>,
}

impl Order {
    pub fn new(count: usize, seed: u64, reshuffle: bool) -> Self {
        Self { count, seed, reshuffle, epoch: None }
    }

    /// Of a step, counted from 0. There are at least `size` images.
    pub fn batch(&mut self, step: usize, size: usize) -> Vec<usize> {
        let batches = self.count / size;
        let (epoch, number) = (step / batches, step % batches);
        let order = match self.epoch.take() {
            Some((known, order)) if known == epoch => order,
            _ => self.of(epoch),
        };
        let chosen = order[number * size..][..size].to_vec();
        self.epoch = Some((epoch, order));
        chosen
    }

    /// Thorough shuffling mixes all images anew. Without it shards come in a new order, and what is in a shard stays
    /// as it lies: the same images meet in a batch again and again.
    fn of(&self, epoch: usize) -> Vec<usize> {
        let mut random = Random::new(&[self.seed, ORDER, epoch as u64]);
        if self.reshuffle {
            return random.permutation(self.count);
        }
        let shards = random.permutation(self.count.div_ceil(SHARD));
        shards.into_iter().flat_map(|shard| shard * SHARD..((shard + 1) * SHARD).min(self.count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_has_every_image_once() {
        for reshuffle in [false, true] {
            let mut order = Order::new(1500, 9, reshuffle).of(4);
            order.sort_unstable();
            assert_eq!(order, (0..1500).collect::<Vec<_>>());
        }
    }
}
