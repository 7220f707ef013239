//! The layer by Burn's own operations, where the kernels do not serve: the same options, the same answer.

use burn::tensor::Tensor;
use burn::tensor::activation::{leaky_relu, relu, sigmoid, silu, tanh};
use burn::tensor::module::{batch_norm, batch_norm_train};
use wgpu_batchnorm::{Activation, Layer, RunningVariance, Update};

/// The output, and the new running mean and variance.
pub(crate) fn training<const D: usize>(
    input: Tensor<D>,
    [gamma, beta]: [Tensor<1>; 2],
    [mean, var]: [Tensor<1>; 2],
    residual: Option<Tensor<D>>,
    layer: Layer,
    epsilon: f64,
) -> (Tensor<D>, [Tensor<1>; 2]) {
    let dims = input.dims();
    let values = dims.iter().product::<usize>() / dims[1].max(1);
    let result = batch_norm_train(input, gamma, beta, epsilon);
    let new = [result.mean.detach(), result.variance.detach()];
    (tail(result.output, residual, layer.activation), updated([mean, var], new, values, layer))
}

/// The output by running statistics.
pub(crate) fn inference<const D: usize>(
    input: Tensor<D>,
    [gamma, beta]: [Tensor<1>; 2],
    [mean, var]: [Tensor<1>; 2],
    residual: Option<Tensor<D>>,
    layer: Layer,
    epsilon: f64,
) -> Tensor<D> {
    tail(batch_norm(input, gamma, beta, mean, var, epsilon), residual, layer.activation)
}

fn updated(
    old: [Tensor<1>; 2],
    [mean, variance]: [Tensor<1>; 2],
    values: usize,
    layer: Layer,
) -> [Tensor<1>; 2] {
    let Some(running) = layer.running else { return old };
    // An empty batch says nothing, and one value nothing about an unbiased variance.
    let least = match running.variance {
        RunningVariance::Biased => 1,
        RunningVariance::Unbiased => 2,
    };
    if values < least {
        return old;
    }
    let variance = match running.variance {
        RunningVariance::Biased => variance,
        RunningVariance::Unbiased => variance.mul_scalar(values as f64 / (values as f64 - 1.0)),
    };
    let refused = match running.update {
        Update::Always => None,
        Update::IfChannelFinite => Some((mean.clone() + variance.clone()).is_finite().bool_not()),
        Update::IfLayerFinite => {
            let channels = mean.dims();
            let all = (mean.clone() + variance.clone()).is_finite().all();
            Some(all.bool_not().expand(channels))
        }
    };
    let weight = f64::from(running.momentum.weight().unwrap_or_default());
    let [old_mean, old_var] = old;
    [(old_mean, mean), (old_var, variance)].map(|(old, new)| {
        let average = old.clone().mul_scalar(1.0 - weight).add(new.mul_scalar(weight));
        match &refused {
            None => average,
            Some(refused) => average.mask_where(refused.clone(), old),
        }
    })
}

fn tail<const D: usize>(z: Tensor<D>, residual: Option<Tensor<D>>, activation: Activation) -> Tensor<D> {
    let z = match residual {
        None => z,
        Some(residual) => z.add(residual),
    };
    match activation {
        Activation::Identity => z,
        Activation::Relu => relu(z),
        Activation::LeakyRelu { alpha } => leaky_relu(z, alpha.into()),
        Activation::Clamp { lo, hi } => z.clamp(lo, hi),
        Activation::Sigmoid => sigmoid(z),
        Activation::Tanh => tanh(z),
        Activation::Silu => silu(z),
        Activation::Gelu => {
            let inner =
                (z.clone().powi_scalar(3) * 0.044_715 + z.clone()) * (2.0 / std::f64::consts::PI).sqrt();
            z * 0.5 * (tanh(inner) + 1.0)
        }
    }
}
