//! Burn's batch norm on the shared device: `burn::nn::BatchNorm` forward, the backend's own operation backward.

use std::error::Error;

use burn::backend::ops::ModuleOps;
use burn::backend::{Dispatch, DispatchTensor};
use burn::module::{Module, Param, RunningState};
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::tensor::{Device, Tensor, TensorData};

use crate::gpu::Gpu;
use crate::problem::{EPS, MOMENTUM, Operation, Problem};
use crate::system::System;

/// A layer of Burn on tensors of rank `D`.
pub struct Peer<const D: usize> {
    device: Device,
    /// On the autodiff device, where Burn trains. Its parameters ask for no gradient, which spares Burn the graph,
    /// host work that a backward pass of its own would have to clear away.
    training: BatchNorm,
    /// On the plain device, where Burn infers.
    inference: BatchNorm,
    gamma: Tensor<1>,
    mean: Tensor<1>,
    variance: Tensor<1>,
    sets: Vec<Set<D>>,
}

struct Set<const D: usize> {
    x: Tensor<D>,
    dy: Tensor<D>,
    /// y, or dx, dgamma and dbeta. They are held, or fusion would leave them out.
    outputs: Vec<DispatchTensor>,
}

impl<const D: usize> Peer<D> {
    pub fn new(gpu: &Gpu, problem: &Problem, sets: usize) -> Result<Self, Box<dyn Error>> {
        let device = gpu.burn.clone();
        let dimensions = &problem.dimensions.0;
        let tensor = |values: &[f32]| {
            let data = TensorData::new(values.to_vec(), dimensions.clone());
            Tensor::<D>::from_data(data, &device)
        };
        let channels = problem.gamma.len();
        let parameter = |values: &[f32], device: &Device| {
            Tensor::<1>::from_data(TensorData::new(values.to_vec(), [channels]), device)
        };
        let layer = |device: &Device| {
            let config =
                BatchNormConfig::new(channels).with_epsilon(EPS.into()).with_momentum(MOMENTUM.into());
            let mut layer = config.init(device);
            layer.gamma = Param::from_tensor(parameter(&problem.gamma, device));
            layer.beta = Param::from_tensor(parameter(&problem.beta, device));
            layer.running_mean = RunningState::new(parameter(&problem.running_mean, device));
            layer.running_var = RunningState::new(parameter(&problem.running_var, device));
            layer.no_grad()
        };
        let sets: Vec<Set<D>> = (0..sets)
            .map(|_| Set { x: tensor(&problem.x), dy: tensor(&problem.dy), outputs: Vec::new() })
            .collect();
        let gamma = parameter(&problem.gamma, &device);
        let beta = parameter(&problem.beta, &device);
        // The statistics that the backward pass starts from.
        let batch =
            burn::tensor::module::batch_norm_train(sets[0].x.clone(), gamma.clone(), beta, EPS.into());
        device.sync()?;
        Ok(Self {
            training: layer(&device.clone().autodiff()),
            inference: layer(&device),
            gamma,
            mean: batch.mean,
            variance: batch.variance,
            sets,
            device,
        })
    }
}

impl<const D: usize> System for Peer<D> {
    fn name(&self) -> &'static str {
        if cfg!(feature = "fusion") { "burn-0.22-fusion" } else { "burn-0.22" }
    }

    fn submit(&mut self, operation: Operation, set: usize) -> Result<(), Box<dyn Error>> {
        let Set { x, dy, outputs } = &mut self.sets[set];
        // Freed first, so that Burn's pool may hand the same memory out again, as ours is written again.
        outputs.clear();
        match operation {
            Operation::Training => {
                let y = self.training.forward(x.clone().autodiff());
                outputs.push(y.inner().into_dispatch());
            }
            Operation::Inference => outputs.push(self.inference.forward(x.clone()).into_dispatch()),
            Operation::Backward => {
                let gradients = Dispatch::batch_norm_train_backward(
                    x.clone().into_dispatch(),
                    self.gamma.clone().into_dispatch(),
                    self.mean.clone().into_dispatch(),
                    self.variance.clone().into_dispatch(),
                    EPS.into(),
                    dy.clone().into_dispatch(),
                );
                outputs.extend([gradients.x_grad, gradients.gamma_grad, gradients.beta_grad]);
            }
        }
        self.device.flush()?;
        Ok(())
    }

    fn results(&mut self, operation: Operation, set: usize) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
        let values = |data: TensorData| data.try_into_vec::<f32>().map_err(|error| format!("{error:?}"));
        let mut results = Vec::new();
        for output in self.sets[set].outputs.drain(..) {
            // The tensor comes first, parameters after it.
            results.push(if results.is_empty() {
                values(Tensor::<D>::from_dispatch(output).into_data())?
            } else {
                values(Tensor::<1>::from_dispatch(output).into_data())?
            });
        }
        if operation == Operation::Training {
            results.push(values(self.training.running_mean.value_sync().into_data())?);
            results.push(values(self.training.running_var.value_sync().into_data())?);
        }
        Ok(results)
    }
}
