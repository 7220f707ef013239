//! What the layers are fed: seeded, and not kind.

use wgpu_batchnorm::reference::{self, Statistics};
use wgpu_batchnorm::{Dtype, Shape};

/// The inputs of a layer, as stored.
pub struct Data {
    pub x: Vec<f64>,
    pub dy: Vec<f64>,
    pub gamma: Vec<f64>,
    pub beta: Vec<f64>,
    pub running: Statistics,
}

impl Data {
    /// Normally distributed, with an offset and a scale for each channel; the first channel lies far from zero.
    pub fn new(shape: &Shape, seed: u64) -> Self {
        let mut random = Random(seed);
        let channels = shape.channels() as usize;
        let mut parameters = |mean: f64, spread: f64| -> Vec<f64> {
            let values: Vec<f64> = (0..channels).map(|_| mean + spread * random.normal()).collect();
            reference::stored(Dtype::F32, &values)
        };
        let (gamma, beta) = (parameters(1.0, 0.3), parameters(0.0, 1.0));
        let (mut offset, scale) = (parameters(0.0, 3.0), parameters(1.0, 0.2));
        // As far as the storage type still has digits for the spread.
        offset[0] = match shape.dtype() {
            Dtype::F32 => 1e4,
            Dtype::F16 => 1e3,
        };
        // Statistics as they are after some training: near those of the batch.
        let mean = offset.iter().zip(parameters(0.0, 0.1)).map(|(offset, error)| offset + error);
        let mean = reference::stored(Dtype::F32, &mean.collect::<Vec<_>>());
        let variance = parameters(1.0, 0.1).iter().map(|value| value.abs() + 0.05).collect::<Vec<_>>();
        let variance = reference::stored(Dtype::F32, &variance);

        let (len, inner) = (shape.len() as usize, shape.inner() as usize);
        let x: Vec<f64> = (0..len)
            .map(|index| index / inner % channels)
            .map(|channel| offset[channel] + scale[channel] * random.normal())
            .collect();
        let dy: Vec<f64> = (0..len).map(|_| random.normal()).collect();
        let (x, dy) = (reference::stored(shape.dtype(), &x), reference::stored(shape.dtype(), &dy));
        Self { x, dy, gamma, beta, running: Statistics { mean, variance } }
    }
}

/// SplitMix64 (Steele, Lea & Flood 2014).
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Standard normal, by Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (2.0 * std::f64::consts::PI * self.uniform()).cos()
    }
}
