//! Reads `pytorch_goldens.json`: what `make_pytorch_goldens.py` says of it.

use serde::Deserialize;
use wgpu_batchnorm::reference::{self, Statistics};
use wgpu_batchnorm::{Affine, Dtype, Shape};

/// How many goldens there are.
pub const COUNT: usize = 35;

/// One case, as PyTorch computes it in float64.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    pub name: String,
    dims: Vec<usize>,
    channel_axis: usize,
    dtype: String,
    pub eps: f64,
    /// `None` is the cumulative average.
    pub momentum: Option<f64>,
    /// Batches that the average has seen before.
    batches_before: u32,
    tracked: bool,
    train: bool,
    pub gamma: Option<Vec<f64>>,
    pub beta: Option<Vec<f64>>,
    running_mean: Option<Vec<f64>>,
    running_var: Option<Vec<f64>>,
    /// The batches in their order; all that follows but the running statistics is of the last.
    pub x: Vec<Vec<f64>>,
    pub y: Vec<f64>,
    pub batch_mean: Vec<f64>,
    pub batch_var: Vec<f64>,
    new_running_mean: Option<Vec<f64>>,
    new_running_var: Option<Vec<f64>>,
    pub dy: Option<Vec<f64>>,
    pub dx: Option<Vec<f64>>,
    pub dgamma: Option<Vec<f64>>,
    pub dbeta: Option<Vec<f64>>,
}

impl Golden {
    pub fn shape(&self) -> Shape {
        let dtype = match self.dtype.as_str() {
            "f32" => Dtype::F32,
            "f16" => Dtype::F16,
            dtype => panic!("{}: stored as {dtype}", self.name),
        };
        Shape::new(&self.dims, self.channel_axis, dtype).expect("a shape")
    }

    pub fn affine(&self) -> Affine {
        match (&self.gamma, &self.beta) {
            (Some(_), Some(_)) => Affine::GammaBeta,
            (Some(_), None) => Affine::Gamma,
            (None, Some(_)) => Affine::Beta,
            (None, None) => Affine::None,
        }
    }

    /// Whether x is normalized by its own statistics, as in evaluation, too, where no others are tracked.
    pub fn by_batch(&self) -> bool {
        self.train || !self.tracked
    }

    /// The running statistics before and after, if any are tracked.
    pub fn running(&self) -> Option<(Statistics, Statistics)> {
        let statistics = |mean: &Option<Vec<f64>>, variance: &Option<Vec<f64>>| {
            Some(Statistics { mean: mean.clone()?, variance: variance.clone()? })
        };
        let before = statistics(&self.running_mean, &self.running_var)?;
        Some((before, statistics(&self.new_running_mean, &self.new_running_var)?))
    }

    /// The momentum of the batch of this index: one over its number where the average is cumulative.
    pub fn momentum_of(&self, batch: usize) -> f64 {
        self.momentum.unwrap_or_else(|| 1.0 / (f64::from(self.batches_before) + batch as f64 + 1.0))
    }

    /// Mean and biased variance of the last batch.
    pub fn batch(&self) -> Statistics {
        Statistics { mean: self.batch_mean.clone(), variance: self.batch_var.clone() }
    }
}

pub fn load() -> Vec<Golden> {
    let mut goldens: Vec<Golden> = serde_json::from_str(include_str!("pytorch_goldens.json"))
        .expect("goldens as the script writes them");
    assert_eq!(goldens.len(), COUNT, "goldens");
    for golden in &mut goldens {
        let (name, dtype) = (&golden.name, golden.shape().dtype());
        for tensor in golden.x.iter_mut().chain(&mut golden.dy) {
            *tensor = exact(name, dtype, tensor);
        }
        for parameter in
            [&mut golden.gamma, &mut golden.beta, &mut golden.running_mean, &mut golden.running_var]
                .into_iter()
                .flatten()
        {
            *parameter = exact(name, Dtype::F32, parameter);
        }
        golden.eps = exact(name, Dtype::F32, &[golden.eps])[0];
        golden.momentum = golden.momentum.map(|momentum| exact(name, Dtype::F32, &[momentum])[0]);
    }
    goldens
}

/// The numbers that were written: inputs are numbers of their storage type, and parsing is off by a unit in the last
/// place of an f64 at times.
fn exact(name: &str, dtype: Dtype, parsed: &[f64]) -> Vec<f64> {
    let stored = reference::stored(dtype, parsed);
    for (stored, parsed) in stored.iter().zip(parsed) {
        let off = (stored - parsed).abs();
        assert!(off <= f64::EPSILON * parsed.abs(), "{name}: the input {parsed:e} is no {dtype}");
    }
    stored
}
