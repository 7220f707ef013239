//! The inputs of an operation.

use wgpu_batchnorm::reference::{self, Statistics};
use wgpu_batchnorm::{Affine, Dtype, SavedStatistics, Shape};

use super::data::Random;

/// The inputs of an operation, already as their storage holds them.
#[derive(Clone, Debug)]
pub struct Case {
    pub shape: Shape,
    pub x: Vec<f64>,
    pub dy: Vec<f64>,
    pub gamma: Vec<f64>,
    pub beta: Vec<f64>,
    pub running: Statistics,
}

impl Case {
    /// Normally distributed everywhere, with each channel's x about `offset`.
    pub fn random(shape: Shape, seed: u64, offset: f64) -> Self {
        let mut random = Random::new(seed);
        let channels = shape.channels() as usize;
        let mut parameters = |mean, std| round(&random.normals(channels, mean, std));
        let (gamma, beta) = (parameters(1.0, 0.5), parameters(0.0, 1.0));
        let mean = parameters(0.0, 1.0);
        let variance = parameters(1.0, 0.2).iter().map(|v: &f64| v.abs() + 0.01).collect::<Vec<_>>();
        let len = shape.len() as usize;
        let x = random.normals(len, offset, 1.0);
        let dy = random.normals(len, 0.0, 1.0);
        Self::new(shape, &x, &dy, gamma, beta, Statistics { mean, variance: round(&variance) })
    }

    /// Uniform x about 1 and dy about 0.1, gamma 1 and beta 0 beside them: quick to make where the point is size.
    pub fn large(shape: Shape, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let channels = shape.channels() as usize;
        let x: Vec<f64> = (0..shape.len()).map(|_| 0.5 + random.uniform()).collect();
        let dy: Vec<f64> = (0..shape.len()).map(|_| random.uniform() - 0.4).collect();
        let running = Statistics { mean: vec![0.0; channels], variance: vec![1.0; channels] };
        Self::new(shape, &x, &dy, vec![1.0; channels], vec![0.0; channels], running)
    }

    pub fn new(
        shape: Shape,
        x: &[f64],
        dy: &[f64],
        gamma: Vec<f64>,
        beta: Vec<f64>,
        running: Statistics,
    ) -> Self {
        let (x, dy) = (reference::stored(shape.dtype(), x), reference::stored(shape.dtype(), dy));
        Self { shape, x, dy, gamma, beta, running }
    }

    pub fn gamma(&self, affine: Affine) -> Option<&[f64]> {
        affine.has_gamma().then_some(self.gamma.as_slice())
    }

    pub fn beta(&self, affine: Affine) -> Option<&[f64]> {
        affine.has_beta().then_some(self.beta.as_slice())
    }

    /// The channel of a value.
    pub fn channel(&self, index: usize) -> usize {
        channel(&self.shape, index)
    }

    /// x changed value by value, from its index and channel.
    pub fn with_x(mut self, x: impl Fn(usize, usize, f64) -> f64) -> Self {
        for i in 0..self.x.len() {
            self.x[i] = x(i, channel(&self.shape, i), self.x[i]);
        }
        self.x = reference::stored(self.shape.dtype(), &self.x);
        self
    }

    /// The same values in a tensor of f32.
    pub fn widened(&self) -> Self {
        let s = &self.shape;
        let dims = [s.outer() as usize, s.channels() as usize, s.inner() as usize];
        let shape = Shape::new(&dims, 1, Dtype::F32).expect("the same dimensions");
        Self { shape, ..self.clone() }
    }

    /// What a forward pass should save, each number rounded once.
    pub fn saved(&self, eps: f32) -> Vec<SavedStatistics> {
        let batch = reference::statistics(&self.shape, &self.x).expect("lengths");
        let pairs = batch.mean.iter().zip(&batch.variance);
        pairs
            .map(|(&mean, &variance)| SavedStatistics {
                pivot: mean as f32,
                difference: (mean - f64::from(mean as f32)) as f32,
                variance: variance as f32,
                invstd: (1.0 / (variance + f64::from(eps)).sqrt()) as f32,
            })
            .collect()
    }
}

/// The channel of a value.
pub fn channel(shape: &Shape, index: usize) -> usize {
    index / shape.inner() as usize % shape.channels() as usize
}

/// As parameters are stored.
pub fn round(values: &[f64]) -> Vec<f64> {
    reference::stored(Dtype::F32, values)
}
