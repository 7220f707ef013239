//! What Burn's layer has not: activations, residuals, running statistics by other conventions.

use burn::module::Param;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use wgpu_batchnorm_burn::{Activation, BatchNormConfig, Error, RunningVariance, Update};

use crate::case::{assert_close, layers, numbers, tensor, training_device, values};

const DIMS: [usize; 4] = [4, 6, 5, 5];
const LEN: usize = 4 * 6 * 5 * 5;

#[test]
fn a_residual_and_a_relu_are_those_behind_the_layer() {
    let device = training_device();
    let (ours, burns) = layers(6, &device);
    let ours = ours.with_activation(Activation::Relu);
    let dy: Tensor<4> = tensor(&values(3, LEN), DIMS, &device);
    let inputs = || [1, 2].map(|seed| tensor::<4>(&values(seed, LEN), DIMS, &device).require_grad());
    let ([our_x, our_residual], [burn_x, burn_residual]) = (inputs(), inputs());
    let our_y = ours.forward_residual(our_x.clone(), our_residual.clone());
    let burn_y = relu(burns.forward(burn_x.clone()) + burn_residual.clone());
    let our_grads = (our_y.clone() * dy.clone()).sum().backward();
    let burn_grads = (burn_y.clone() * dy).sum().backward();
    assert_close("y", &numbers(our_y), &numbers(burn_y), 2e-5);
    for (name, ours, burns) in [("dx", &our_x, &burn_x), ("dresidual", &our_residual, &burn_residual)] {
        let of = |tensor: &Tensor<4>, grads| numbers(tensor.grad(grads).expect("it asks for its gradient"));
        assert_close(name, &of(ours, &our_grads), &of(burns, &burn_grads), 2e-5);
    }
    for (name, ours, burns) in [("dgamma", &ours.gamma, &burns.gamma), ("dbeta", &ours.beta, &burns.beta)] {
        let of =
            |tensor: &Param<Tensor<1>>, grads| numbers(tensor.val().grad(grads).expect("it asks for it"));
        assert_close(name, &of(ours, &our_grads), &of(burns, &burn_grads), 2e-5);
    }
}

/// Without an activation the residual's gradient is dy itself.
#[test]
fn a_residual_alone() {
    let device = training_device();
    let (ours, _) = layers(6, &device);
    let [x, residual, dy] = [1, 2, 3].map(|seed| tensor::<4>(&values(seed, LEN), DIMS, &device));
    let residual = residual.require_grad();
    let with = ours.forward_residual(x.clone(), residual.clone());
    let without = ours.forward(x);
    let grads = (with.clone() * dy.clone()).sum().backward();
    assert_close("y", &numbers(with - without), &numbers(residual.clone()), 1e-6);
    assert_eq!(numbers(residual.grad(&grads).expect("it asks for it")), numbers(dy));
}

/// Two tensors may be one: it is read twice.
#[test]
fn one_tensor_in_two_places() {
    let device = training_device();
    let (mut ours, mut burns) = layers(6, &device);
    (ours.beta, burns.beta) = (ours.gamma.clone(), burns.gamma.clone());
    let ours = ours.with_activation(Activation::Sigmoid);
    let inputs = || tensor::<4>(&values(1, LEN), DIMS, &device).require_grad();
    let (our_x, burn_x) = (inputs(), inputs());
    let our_y = ours.forward_residual(our_x.clone(), our_x.clone());
    let burn_y = burn::tensor::activation::sigmoid(burns.forward(burn_x.clone()) + burn_x.clone());
    let our_dx = our_x.grad(&our_y.clone().powi_scalar(2).sum().backward()).expect("x asks for it");
    let burn_dx = burn_x.grad(&burn_y.clone().powi_scalar(2).sum().backward()).expect("x asks for it");
    assert_close("y", &numbers(our_y), &numbers(burn_y), 2e-5);
    assert_close("dx", &numbers(our_dx), &numbers(burn_dx), 2e-5);
}

#[test]
fn pytorchs_running_variance_is_the_unbiased_one() {
    let device = training_device();
    for (variance, expected) in [(RunningVariance::Biased, 1.0), (RunningVariance::Unbiased, 1.1)] {
        let layer = BatchNormConfig::new(1).init(&device).with_running_variance(variance);
        layer.forward(tensor(&[0.0, 2.0], [2, 1], &device));
        assert_close("running_var", &numbers(layer.running_var.value_sync()), &[expected], 1e-6);
    }
}

#[test]
fn a_nan_stays_out_of_the_running_statistics_by_wish() {
    let device = training_device();
    let mut x = values(1, LEN);
    x[30] = f32::NAN;
    for (update, expected) in [
        (Update::Always, [false, true]),
        (Update::IfChannelFinite, [true, true]),
        (Update::IfLayerFinite, [true, false]),
    ] {
        let layer = BatchNormConfig::new(6).init(&device).with_update(update);
        layer.forward(tensor(&x, DIMS, &device));
        let mean = numbers(layer.running_mean.value_sync());
        let [is_kept, has_moved] = expected;
        assert_eq!(mean[1] == 0.0, is_kept, "{update:?}: the NaN's channel, {mean:?}");
        assert_eq!(mean[0] != 0.0, has_moved, "{update:?}: another one, {mean:?}");
    }
}

/// A layer that was put together by hand.
#[test]
fn a_layer_that_is_none_is_refused() {
    let device = training_device();
    let x = || Tensor::<4>::zeros([2, 6, 3, 3], &device);
    let mut layer = BatchNormConfig::new(6).init(&device);
    layer.running_mean = burn::module::RunningState::new(Tensor::zeros([3], &device));
    let expected = Error::PerChannel { name: "running_mean", got: 3, needs: 6 };
    assert_eq!(layer.try_forward(x(), None).err(), Some(expected));
    let mut layer = BatchNormConfig::new(6).init(&device);
    layer.beta = Param::from_tensor(Tensor::zeros([1], &device));
    let expected = Error::PerChannel { name: "beta", got: 1, needs: 6 };
    assert_eq!(layer.try_forward(x(), None).err(), Some(expected));
    let layer = BatchNormConfig::new(6).init(&device).with_activation(Activation::Clamp { lo: 1.0, hi: 0.0 });
    assert!(matches!(layer.try_forward(x(), None), Err(Error::Activation(_))));
    // Where nothing is planned as well.
    let empty = Tensor::<4>::zeros([0, 6, 3, 3], &device);
    assert!(matches!(layer.try_forward(empty, None), Err(Error::Activation(_))));
}

#[test]
fn mistakes_are_named() {
    let device = training_device();
    let layer = BatchNormConfig::new(6).init(&device);
    let wrong = layer.try_forward(Tensor::<4>::zeros([2, 5, 3, 3], &device), None);
    assert_eq!(wrong.err(), Some(Error::Channels { got: vec![2, 5, 3, 3], needs: 6 }));
    let flat = layer.try_forward(Tensor::<1>::zeros([6], &device), None);
    assert_eq!(flat.err(), Some(Error::Rank { got: 1 }));
    let residual = Tensor::<4>::zeros([2, 6, 3, 1], &device);
    let other = layer.try_forward(Tensor::<4>::zeros([2, 6, 3, 3], &device), Some(residual));
    assert_eq!(other.err(), Some(Error::Residual { got: vec![2, 6, 3, 1], needs: vec![2, 6, 3, 3] }));
    assert_eq!(BatchNormConfig::new(0).try_init(&device).err(), Some(Error::NumFeatures));
    let epsilon = BatchNormConfig::new(1).with_epsilon(0.0).try_init(&device);
    assert_eq!(epsilon.err(), Some(Error::Epsilon { got: 0.0 }));
    let momentum = BatchNormConfig::new(1).with_momentum(1.5).try_init(&device);
    assert_eq!(momentum.err(), Some(Error::Momentum { got: 1.5 }));
}
