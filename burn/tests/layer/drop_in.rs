//! At offset 0 the two are the same layer.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::case::{
    affine, assert_close, assert_steps_agree, burns, device, layers, numbers, ours, tensor, training_device,
    values,
};

/// Both round in f32, at other places.
const BOUND: f64 = 2e-5;

fn step_of<const D: usize>(dims: [usize; D]) {
    let (device, len) = (training_device(), dims.iter().product());
    let (our_layer, burn_layer) = layers(dims[1], &device);
    let (x, dy) = (tensor(&values(1, len), dims, &device), tensor(&values(2, len), dims, &device));
    for step in 0..3 {
        let [ours, burns] =
            [ours(&our_layer, x.clone(), dy.clone()), burns(&burn_layer, x.clone(), dy.clone())];
        assert_steps_agree(&format!("{dims:?}, step {step}"), &ours, &burns, BOUND);
    }
}

#[test]
fn a_training_step_of_any_rank_is_burns() {
    step_of([32, 10]);
    step_of([8, 5, 7]);
    step_of([4, 16, 14, 14]);
    step_of([4, 3, 5, 7]);
    step_of([2, 6, 3, 4, 5]);
    step_of([2, 4, 2, 3, 2, 2]);
    step_of([3, 1, 4]);
    step_of([1, 8, 4, 4]);
}

#[test]
fn inference_is_burns() {
    let (training, inference) = (training_device(), device());
    let (our_layer, burn_layer) = layers(6, &training);
    let dims = [4, 6, 5, 5];
    let x = values(3, dims.iter().product());
    our_layer.forward(tensor(&x, dims, &training));
    burn_layer.forward(tensor(&x, dims, &training));
    let (our_layer, burn_layer) = (our_layer.valid(), burn_layer.valid());
    let x = tensor(&values(4, x.len()), dims, &inference);
    assert_close("y", &numbers(our_layer.forward(x.clone())), &numbers(burn_layer.forward(x)), BOUND);
}

#[test]
fn a_frozen_layer_takes_running_statistics_and_passes_its_gradient() {
    let device = training_device();
    let (our_layer, burn_layer) = layers(6, &device);
    let dims = [4, 6, 5, 5];
    let len = dims.iter().product();
    let first = tensor(&values(3, len), dims, &device);
    our_layer.forward(first.clone());
    burn_layer.forward(first);
    // One state read, so that Burn's is not one update behind.
    let before = numbers(our_layer.running_mean.value_sync());
    burn_layer.running_mean.value_sync();
    burn_layer.running_var.value_sync();
    let (our_layer, burn_layer) = (our_layer.freeze(), burn_layer.freeze());
    let x = || tensor(&values(5, len), dims, &device).require_grad();
    let dy: Tensor<4> = tensor(&values(6, len), dims, &device);
    let (our_x, burn_x) = (x(), x());
    let (our_y, burn_y) = (our_layer.forward(our_x.clone()), burn_layer.forward(burn_x.clone()));
    let our_dx = our_x.grad(&(our_y.clone() * dy.clone()).sum().backward()).expect("x asks for it");
    let burn_dx = burn_x.grad(&(burn_y.clone() * dy).sum().backward()).expect("x asks for it");
    assert_close("y", &numbers(our_y), &numbers(burn_y), BOUND);
    assert_close("dx", &numbers(our_dx), &numbers(burn_dx), BOUND);
    assert_eq!(numbers(our_layer.running_mean.value_sync()), before);
}

/// Gamma and beta get gradients on a layer whose statistics alone are frozen.
#[test]
fn running_statistics_with_trained_gamma() {
    let device = training_device();
    let (mut our_layer, mut burn_layer) = layers(6, &device);
    our_layer.training = our_layer.training.with_value(false);
    burn_layer.training = burn_layer.training.with_value(false);
    let dims = [4, 6, 5, 5];
    let len = dims.iter().product();
    let (x, dy) = (tensor(&values(5, len), dims, &device), tensor(&values(6, len), dims, &device));
    let (ours, burns) = (ours(&our_layer, x.clone(), dy.clone()), burns(&burn_layer, x, dy));
    assert_steps_agree("statistics frozen", &ours, &burns, BOUND);
}

/// Only what asks for a gradient gets one.
#[test]
fn gradients_of_some_inputs_only() {
    let device = training_device();
    let (our_layer, burn_layer) = layers(6, &device);
    let dims = [4, 6, 5, 5];
    let len = dims.iter().product();
    let (x, dy): (Tensor<4>, Tensor<4>) =
        (tensor(&values(5, len), dims, &device), tensor(&values(6, len), dims, &device));
    // x is data.
    let gradients = (our_layer.forward(x.clone()) * dy.clone()).sum().backward();
    let expected = (burn_layer.forward(x.clone()) * dy.clone()).sum().backward();
    let of = |tensor: Tensor<1>, grads| numbers(tensor.grad(grads).expect("it asks for its gradient"));
    assert_close(
        "dgamma",
        &of(our_layer.gamma.val(), &gradients),
        &of(burn_layer.gamma.val(), &expected),
        BOUND,
    );
    assert!(x.grad(&gradients).is_none());
    // Gamma and beta are constants.
    let [gamma, beta] = affine(6);
    let (mut our_layer, mut burn_layer) = layers(6, &device);
    let constant = |values: &[f32]| {
        burn::module::Param::from_tensor(tensor::<1>(values, [6], &device)).set_require_grad(false)
    };
    (our_layer.gamma, our_layer.beta) = (constant(&gamma), constant(&beta));
    (burn_layer.gamma, burn_layer.beta) = (constant(&gamma), constant(&beta));
    let (our_x, burn_x) = (x.clone().require_grad(), x.require_grad());
    let gradients = (our_layer.forward(our_x.clone()) * dy.clone()).sum().backward();
    let expected = (burn_layer.forward(burn_x.clone()) * dy).sum().backward();
    let of = |tensor: Tensor<4>, grads| numbers(tensor.grad(grads).expect("it asks for its gradient"));
    assert_close("dx", &of(our_x, &gradients), &of(burn_x, &expected), BOUND);
    assert!(our_layer.gamma.val().grad(&gradients).is_none());
}

#[test]
fn gradient_checkpointing_changes_nothing() {
    let plain = training_device();
    let checkpointing = plain.clone().gradient_checkpointing();
    let dims = [4, 6, 5, 5];
    let len = dims.iter().product();
    let steps = [plain, checkpointing].map(|device| {
        let (layer, _) = layers(6, &device);
        let x: Tensor<4> = tensor(&values(5, len), dims, &device).require_grad();
        let dy: Tensor<4> = tensor(&values(6, len), dims, &device);
        // What is before and after the layer is computed again.
        let layer = layer.with_activation(wgpu_batchnorm_burn::Activation::Silu);
        let (inside, shortcut) = (burn::tensor::activation::relu(x.clone() * 2.0), x.clone().tanh());
        let y = burn::tensor::activation::relu(layer.forward_residual(inside, shortcut));
        let grads = (y.clone() * dy).sum().backward();
        let dx = numbers(x.grad(&grads).expect("x asks for it"));
        (numbers(y), dx, numbers(layer.gamma.val().grad(&grads).expect("gamma asks for it")))
    });
    assert_eq!(steps[0], steps[1]);
}

/// Each strategy of the kernels, by shapes that it is the best for.
#[test]
fn a_training_step_of_layers_as_networks_have_them() {
    step_of([32, 32, 32, 32]);
    step_of([32, 64, 16, 16]);
    step_of([16, 256, 7, 7]);
    step_of([64, 512]);
    step_of([256, 1024]);
    let device = training_device();
    // 60 and 240 leave the last block of channels part empty.
    for channels in [32, 60, 64, 240, 256] {
        let dims = [8, 28, 28, channels];
        let len = dims.iter().product();
        let channels_last = |seed| tensor(&values(seed, len), dims, &device).permute([0, 3, 1, 2]);
        let (our_layer, burn_layer) = layers(channels, &device);
        let ours = ours(&our_layer, channels_last(1), channels_last(2));
        let burns = burns(&burn_layer, channels_last(1), channels_last(2));
        assert_steps_agree(&format!("{channels} channels, last"), &ours, &burns, BOUND);
    }
}
