//! The layer by Burn's own operations, where the kernels do not serve: the same options, the same answer.

use std::cmp::Ordering;

use burn::tensor::activation::{relu, sigmoid, silu, tanh};
use burn::tensor::module::{batch_norm, batch_norm_train};
use burn::tensor::{DType, FloatDType, Tensor};
use wgpu_batchnorm::{Activation, Layer, RunningVariance, Update};

/// Numbers of a layer as Burn's operations take them, in f64; in f32 they are those of its [`Layer`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    pub epsilon: f64,
    /// Weight of a batch in the running statistics.
    pub momentum: f64,
}

/// The output, and the new running mean and variance.
pub(crate) fn training<const D: usize>(
    input: Tensor<D>,
    affine: [Tensor<1>; 2],
    [mean, var]: [Tensor<1>; 2],
    residual: Option<Tensor<D>>,
    layer: Layer,
    numbers: Numbers,
) -> (Tensor<D>, [Tensor<1>; 2]) {
    let (dims, dtype) = (input.dims(), input.dtype());
    if dims.contains(&0) {
        return (input, [mean, var]);
    }
    let values = dims.iter().product::<usize>() / dims[1];
    let computed = affine.iter().map(Tensor::dtype).fold(dtype, wider);
    let [gamma, beta] = affine.map(|tensor| of_type(tensor, computed));
    let result = batch_norm_train(of_type(input, computed), gamma, beta, numbers.epsilon);
    let new = [result.mean, result.variance].map(Tensor::detach);
    let output = of_type(tail(result.output, residual, layer.activation), dtype);
    (output, updated([mean, var], new, values, layer, numbers.momentum))
}

/// The output by running statistics.
pub(crate) fn inference<const D: usize>(
    input: Tensor<D>,
    affine: [Tensor<1>; 2],
    running: [Tensor<1>; 2],
    residual: Option<Tensor<D>>,
    layer: Layer,
    numbers: Numbers,
) -> Tensor<D> {
    let dtype = input.dtype();
    let computed = affine.iter().chain(&running).map(Tensor::dtype).fold(dtype, wider);
    let [[gamma, beta], [mean, var]] =
        [affine, running].map(|pair| pair.map(|tensor| of_type(tensor, computed)));
    let output = batch_norm(of_type(input, computed), gamma, beta, mean, var, numbers.epsilon);
    of_type(tail(output, residual, layer.activation), dtype)
}

/// The type to compute in, as Burn's operations do not mix them: what either holds, it holds. (A running variance may be
/// beyond the range of f16.)
fn wider(a: DType, b: DType) -> DType {
    match a.size().cmp(&b.size()) {
        Ordering::Less => b,
        Ordering::Greater => a,
        Ordering::Equal if a == b => a,
        // f16 and bf16.
        Ordering::Equal => DType::F32,
    }
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
    momentum: f64,
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
    let [old_mean, old_var] = old;
    [(old_mean, mean), (old_var, variance)].map(|(old, new)| {
        let new = of_type(new, old.dtype());
        let average = old.clone().mul_scalar(1.0 - momentum).add(new.mul_scalar(momentum));
        match &refused {
            None => average,
            Some(refused) => average.mask_where(refused.clone(), old),
        }
    })
}

fn tail<const D: usize>(z: Tensor<D>, residual: Option<Tensor<D>>, activation: Activation) -> Tensor<D> {
    let z = match residual {
        None => z,
        Some(residual) => {
            let dtype = z.dtype();
            z.add(of_type(residual, dtype))
        }
    };
    // Burn's own clamp and leaky ReLU have another gradient at a corner than `Activation` promises.
    match activation {
        Activation::Identity => z,
        Activation::Relu => relu(z),
        Activation::LeakyRelu { alpha } => {
            let below = z.clone().lower_equal_elem(0.0);
            z.clone().mask_where(below, z * f64::from(alpha))
        }
        Activation::Clamp { lo, hi } => {
            let (below, above) = (z.clone().lower_equal_elem(lo), z.clone().greater_equal_elem(hi));
            z.mask_fill(below, lo).mask_fill(above, hi)
        }
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

    const BY_BURN: Layered = |x, affine, running, residual, layer| {
        let numbers = Numbers { epsilon: layer.eps.into(), momentum: 0.1 };
        training(x, affine, running, residual, layer, numbers)
    };

    /// Every activation, every convention: Burn's operations give what the kernels give, to rounding.
    #[test]
    fn both_ways_are_the_same_layer() {
        let device = Device::wgpu(DeviceKind::DefaultDevice).autodiff();
        let random = || Tensor::<3>::random([5, 4, 9], Distribution::Normal(0.3, 1.5), &device).detach();
        let inputs = [random(), random(), random()];
        let channel = || Tensor::<1>::random([4], Distribution::Normal(1.0, 0.4), &device).detach();
        let channels = [channel(), channel(), channel(), channel().abs().detach()];
        for activation in Activation::EACH {
            for variance in [RunningVariance::Biased, RunningVariance::Unbiased] {
                for update in [Update::Always, Update::IfChannelFinite, Update::IfLayerFinite] {
                    let target = RunningTarget::Fresh;
                    let running = RunningStatistics { variance, update, target, ..Default::default() };
                    let layer = Layer { activation, running: Some(running), ..Layer::default() };
                    let ours = results(kernels::training, &inputs, &channels, layer);
                    let burns = results(BY_BURN, &inputs, &channels, layer);
                    for (ours, burns) in ours.iter().flatten().zip(burns.iter().flatten()) {
                        assert!((ours - burns).abs() < 2e-4, "{layer:?}: {ours} and {burns}");
                    }
                }
            }
        }
    }

    /// With a gamma of 0 every z is beta, and here beta is where an activation has a corner.
    #[test]
    fn both_ways_have_the_same_gradient_at_corners() {
        let device = Device::wgpu(DeviceKind::DefaultDevice).autodiff();
        let random = || Tensor::<3>::random([5, 4, 9], Distribution::Normal(0.3, 1.5), &device).detach();
        let inputs = [random(), Tensor::zeros([5, 4, 9], &device), random()];
        let zeros = || Tensor::<1>::zeros([4], &device);
        let beta = Tensor::from_data([0.0_f32, 6.0, -1.0, 1.0], &device);
        let channels = [zeros(), beta, zeros(), zeros() + 1.0];
        for activation in [
            Activation::Relu,
            Activation::LeakyRelu { alpha: 0.25 },
            Activation::RELU6,
            Activation::Clamp { lo: -1.0, hi: 1.0 },
        ] {
            let layer = Layer { activation, ..kept() };
            let ours = results(kernels::training, &inputs, &channels, layer);
            let burns = results(BY_BURN, &inputs, &channels, layer);
            for (ours, burns) in ours.iter().flatten().zip(burns.iter().flatten()) {
                assert!((ours - burns).abs() < 2e-4, "{layer:?}: {ours} and {burns}");
            }
        }
    }

    fn kept() -> Layer {
        let running = RunningStatistics {
            variance: RunningVariance::Biased,
            target: RunningTarget::Fresh,
            ..Default::default()
        };
        Layer { running: Some(running), ..Layer::default() }
    }

    /// A running variance of 1e6 is none of f16's numbers: x of f16 is normalized by it nevertheless.
    #[test]
    fn half_precision_is_normalized_in_the_type_of_the_statistics() {
        let device = Device::wgpu(DeviceKind::DefaultDevice);
        let x = Tensor::<2>::from_data([[3000.0_f32], [-1000.0]], &device).cast(FloatDType::F16);
        let one = |value: f32| Tensor::<1>::from_data([value], &device);
        let numbers = Numbers { epsilon: 1e-5, momentum: 0.1 };
        let layer = Layer::default();
        let y = inference(x, [one(2.0), one(1.0)], [one(1000.0), one(1e6)], None, layer, numbers);
        assert_eq!(y.dtype(), DType::F16);
        let y: Vec<f32> = y.cast(FloatDType::F32).into_data().try_to_vec().expect("f32");
        assert!((y[0] - 5.0).abs() < 0.01 && (y[1] + 3.0).abs() < 0.01, "{y:?}");
    }

    #[test]
    fn running_statistics_keep_their_types() {
        let device = Device::wgpu(DeviceKind::DefaultDevice);
        let x = Tensor::<2>::from_data([[1.0_f32], [3.0]], &device);
        let one = |value: f32| Tensor::<1>::from_data([value], &device);
        let numbers = Numbers { epsilon: 1e-5, momentum: 0.5 };
        let running = [one(0.0), one(3.0).cast(FloatDType::F16)];
        let (_, new) = training(x, [one(1.0), one(0.0)], running, None, kept(), numbers);
        assert_eq!([new[0].dtype(), new[1].dtype()], [DType::F32, DType::F16]);
        let [mean, var] = new.map(|new| new.cast(FloatDType::F32).into_data().try_to_vec::<f32>());
        assert_eq!((mean.expect("f32"), var.expect("f32")), (vec![1.0], vec![2.0]));
    }
}
