//! The layer by Burn's own operations, where the kernels do not serve: the same options, the same answer.

use burn::tensor::activation::{leaky_relu, relu, sigmoid, silu, tanh};
use burn::tensor::module::{batch_norm, batch_norm_train};
use burn::tensor::{DType, FloatDType, Tensor};
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
    if dims.contains(&0) {
        return (input, [mean, var]);
    }
    let values = dims.iter().product::<usize>() / dims[1];
    let [gamma, beta] = like(&input, [gamma, beta]);
    let result = batch_norm_train(input, gamma, beta, epsilon);
    let new = like(&mean, [result.mean.detach(), result.variance.detach()]);
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
    let ([gamma, beta], [mean, var]) = (like(&input, [gamma, beta]), like(&input, [mean, var]));
    tail(batch_norm(input, gamma, beta, mean, var, epsilon), residual, layer.activation)
}

/// Of the same type: Burn's operations do not mix them.
fn like<const D: usize>(tensor: &Tensor<D>, others: [Tensor<1>; 2]) -> [Tensor<1>; 2] {
    others.map(|other| of_type(other, tensor.dtype()))
}

/// As it is, where it is of that type.
pub(crate) fn of_type<const D: usize>(tensor: Tensor<D>, dtype: DType) -> Tensor<D> {
    if tensor.dtype() == dtype { tensor } else { tensor.cast(FloatDType::from(dtype)) }
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

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, DeviceKind, Distribution};
    use wgpu_batchnorm::{RunningStatistics, RunningTarget};

    use super::*;
    use crate::kernels;

    type Layered = fn(
        Tensor<3>,
        [Tensor<1>; 2],
        [Tensor<1>; 2],
        Option<Tensor<3>>,
        Layer,
    ) -> (Tensor<3>, [Tensor<1>; 2]);

    /// y, the gradients by x, the residual, gamma and beta, the new running statistics.
    fn results(
        training: Layered,
        inputs: &[Tensor<3>; 3],
        channels: &[Tensor<1>; 4],
        layer: Layer,
    ) -> Vec<Vec<f32>> {
        let [x, residual, dy] = inputs.clone();
        let [gamma, beta, mean, var] = channels.clone();
        let (x, residual) = (x.require_grad(), residual.require_grad());
        let (gamma, beta) = (gamma.require_grad(), beta.require_grad());
        let affine = [gamma.clone(), beta.clone()];
        let (y, [mean, var]) = training(x.clone(), affine, [mean, var], Some(residual.clone()), layer);
        let grads = (y.clone() * dy).sum().backward();
        let numbers = |tensor: Tensor<1>| tensor.into_data().try_to_vec().expect("f32");
        let flat = |tensor: Tensor<3>| numbers(tensor.flatten(0, 2));
        vec![
            flat(y),
            flat(x.grad(&grads).expect("x asks for it")),
            flat(residual.grad(&grads).expect("the residual asks for it")),
            numbers(gamma.grad(&grads).expect("gamma asks for it")),
            numbers(beta.grad(&grads).expect("beta asks for it")),
            numbers(mean),
            numbers(var),
        ]
    }

    /// Every activation, every convention: Burn's operations give what the kernels give, to rounding.
    #[test]
    fn both_ways_are_the_same_layer() {
        let device = Device::wgpu(DeviceKind::DefaultDevice).autodiff();
        let random = || Tensor::<3>::random([5, 4, 9], Distribution::Normal(0.3, 1.5), &device).detach();
        let inputs = [random(), random(), random()];
        let channel = || Tensor::<1>::random([4], Distribution::Normal(1.0, 0.4), &device).detach();
        let channels = [channel(), channel(), channel(), channel().abs().detach()];
        let by_burn: Layered = |x, affine, running, residual, layer| {
            training(x, affine, running, residual, layer, layer.eps.into())
        };
        for activation in Activation::EACH {
            for variance in [RunningVariance::Biased, RunningVariance::Unbiased] {
                for update in [Update::Always, Update::IfChannelFinite, Update::IfLayerFinite] {
                    let target = RunningTarget::Fresh;
                    let running = RunningStatistics { variance, update, target, ..Default::default() };
                    let layer = Layer { activation, running: Some(running), ..Layer::default() };
                    let ours = results(kernels::training, &inputs, &channels, layer);
                    let burns = results(by_burn, &inputs, &channels, layer);
                    for (ours, burns) in ours.iter().flatten().zip(burns.iter().flatten()) {
                        assert!((ours - burns).abs() < 2e-4, "{layer:?}: {ours} and {burns}");
                    }
                }
            }
        }
    }
}
