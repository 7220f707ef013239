//! A linear layer with batch norm, its output and its gradients, for weights of any scale.

use burn::tensor::{Device, Tensor, TensorData};
use wgpu_batchnorm_burn::{BatchNorm, BatchNormConfig};

use crate::options::Options;
use crate::random::Random;

/// Invariance is exact without it; this much is below rounding for the smallest factor here.
pub const EPSILON: f64 = 1e-12;

/// Fixed rows, weights, and gradient by the output.
#[derive(Debug)]
pub struct Layer {
    device: Device,
    norm: BatchNorm,
    batch: usize,
    inputs: usize,
    outputs: usize,
    rows: Vec<f32>,
    pub weight: Vec<f32>,
    upstream: Vec<f32>,
}

/// What comes of one scale.
#[derive(Debug)]
pub struct Outcome {
    pub y: Vec<f32>,
    pub du: Vec<f32>,
    /// By the scaled weights.
    pub dw: Vec<f32>,
    /// By what enters batch norm.
    pub dx: Vec<f32>,
}

impl Layer {
    pub fn new(device: &Device, options: &Options) -> Self {
        let Options { batch, inputs, outputs, seed } = *options;
        let mut random = Random::new(&[seed]);
        let mut normal = |count: usize| -> Vec<f32> { (0..count).map(|_| random.normal()).collect() };
        let device = device.clone().autodiff();
        Self {
            norm: BatchNormConfig::new(outputs).with_epsilon(EPSILON).init(&device),
            device,
            batch,
            inputs,
            outputs,
            rows: normal(batch * inputs),
            weight: normal(inputs * outputs),
            upstream: normal(batch * outputs),
        }
    }

    /// The loss is the product of y with a fixed tensor, which is then the gradient by y.
    pub fn run(&self, factor: f32) -> Result<Outcome, String> {
        let tensor = |values: &[f32], shape| -> Tensor<2> {
            Tensor::from_data(TensorData::new(values.to_vec(), shape), &self.device)
        };
        let scaled: Vec<f32> = self.weight.iter().map(|weight| factor * weight).collect();
        let u = tensor(&self.rows, [self.batch, self.inputs]).require_grad();
        let weight = tensor(&scaled, [self.inputs, self.outputs]).require_grad();
        // A bias by any other name: zero for each row, so that its gradient is that of what enters batch norm.
        let shift = tensor(&vec![0.0; self.batch * self.outputs], [self.batch, self.outputs]).require_grad();
        let y = self.norm.forward(u.clone().matmul(weight.clone()) + shift.clone());
        let loss = (y.clone() * tensor(&self.upstream, [self.batch, self.outputs])).sum();
        let gradients = loss.backward();
        let gradient = |tensor: &Tensor<2>| match tensor.grad(&gradients) {
            Some(gradient) => values(gradient),
            None => Err("a gradient is missing".to_owned()),
        };
        Ok(Outcome {
            y: values(y.clone())?,
            du: gradient(&u)?,
            dw: gradient(&weight)?,
            dx: gradient(&shift)?,
        })
    }

    /// The gradient by a bias is the sum over the rows of that by what enters batch norm.
    pub fn bias_gradient(&self, outcome: &Outcome) -> f64 {
        let mut sums = vec![0.0_f64; self.outputs];
        for row in outcome.dx.chunks_exact(self.outputs) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += f64::from(value);
            }
        }
        let largest = outcome.dx.iter().map(|value| f64::from(value.abs())).fold(0.0, f64::max);
        sums.iter().map(|sum| sum.abs()).fold(0.0, f64::max) / largest
    }
}

fn values(tensor: Tensor<2>) -> Result<Vec<f32>, String> {
    tensor.into_data().try_into_vec().map_err(|error| format!("reading from the device: {error:?}"))
}
