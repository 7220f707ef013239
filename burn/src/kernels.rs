//! The layer by the kernels of wgpu-batchnorm.

use burn::backend::Dispatch;
use burn::tensor::Tensor;
use wgpu_batchnorm::Layer;

use crate::operation::{BatchNormOps, Inputs, Running};

/// The output, and the new running mean and variance.
pub(crate) fn training<const D: usize>(
    input: Tensor<D>,
    [gamma, beta]: [Tensor<1>; 2],
    [mean, var]: [Tensor<1>; 2],
    residual: Option<Tensor<D>>,
    layer: Layer,
) -> (Tensor<D>, [Tensor<1>; 2]) {
    let (inputs, running) = (inputs(input, gamma, beta, residual), running(mean, var));
    let (output, _, Running { mean, var }) = Dispatch::batch_norm_training(inputs, running, layer);
    (Tensor::from_dispatch(output), [mean, var].map(Tensor::from_dispatch))
}

/// The output by running statistics.
pub(crate) fn inference<const D: usize>(
    input: Tensor<D>,
    [gamma, beta]: [Tensor<1>; 2],
    [mean, var]: [Tensor<1>; 2],
    residual: Option<Tensor<D>>,
    layer: Layer,
) -> Tensor<D> {
    let (inputs, running) = (inputs(input, gamma, beta, residual), running(mean, var));
    Tensor::from_dispatch(Dispatch::batch_norm_inference(inputs, running, layer))
}

fn inputs<const D: usize>(
    input: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    residual: Option<Tensor<D>>,
) -> Inputs<Dispatch> {
    Inputs {
        x: input.into_dispatch(),
        gamma: gamma.into_dispatch(),
        beta: beta.into_dispatch(),
        residual: residual.map(Tensor::into_dispatch).into(),
    }
}

fn running(mean: Tensor<1>, var: Tensor<1>) -> Running<Dispatch> {
    Running { mean: mean.into_dispatch(), var: var.into_dispatch() }
}
