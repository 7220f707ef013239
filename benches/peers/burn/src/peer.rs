//! Burn's batch norm on the shared device: `burn::nn::BatchNorm` forward, the backend's own operation backward.

use std::error::Error;

use burn::backend::Dispatch;
use burn::backend::ops::{BatchNormTrainBackward, ModuleOps};
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
    output: Option<Output<D>>,
}

/// Results are held, or fusion would leave them out.
enum Output<const D: usize> {
    Forward(Tensor<D>),
    Gradients(BatchNormTrainBackward<Dispatch>),
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
        let sets: Vec<Set<D>> =
            (0..sets).map(|_| Set { x: tensor(&problem.x), dy: tensor(&problem.dy), output: None }).collect();
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
        let Set { x, dy, output } = &mut self.sets[set];
        // Freed first, so that Burn's pool may hand the same memory out again, as ours is written again.
        *output = None;
        let result = match operation {
            Operation::Training => Output::Forward(self.training.forward(x.clone().autodiff()).inner()),
            Operation::Inference => Output::Forward(self.inference.forward(x.clone())),
            Operation::Backward => Output::Gradients(Dispatch::batch_norm_train_backward(
                x.clone().into_dispatch(),
                self.gamma.clone().into_dispatch(),
                self.mean.clone().into_dispatch(),
                self.variance.clone().into_dispatch(),
                EPS.into(),
                dy.clone().into_dispatch(),
            )),
        };
        self.device.flush()?;
        *output = Some(result);
        Ok(())
    }

    fn results(&mut self, operation: Operation, set: usize) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
        let values = |data: TensorData| data.try_into_vec::<f32>().map_err(|error| format!("{error:?}"));
        let mut results = match self.sets[set].output.take() {
            Some(Output::Forward(y)) => vec![values(y.into_data())?],
            Some(Output::Gradients(gradients)) => vec![
                values(Tensor::<D>::from_dispatch(gradients.x_grad).into_data())?,
                values(Tensor::<1>::from_dispatch(gradients.gamma_grad).into_data())?,
                values(Tensor::<1>::from_dispatch(gradients.beta_grad).into_data())?,
            ],
            None => return Err("nothing was computed on this set".into()),
        };
        if operation == Operation::Training {
            results.push(values(self.training.running_mean.value_sync().into_data())?);
            results.push(values(self.training.running_var.value_sync().into_data())?);
        }
        Ok(results)
    }
}
