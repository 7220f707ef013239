//! Tensors as they lie: the same numbers, whatever the strides.

use burn::nn::conv::Conv2dConfig;
use burn::tensor::Tensor;

use crate::case::{assert_steps_agree, burns, layers, ours, tensor, training_device, values};

/// The same values, dense and row-major.
fn copied<const D: usize>(tensor: &Tensor<D>) -> Tensor<D> {
    Tensor::from_data(tensor.clone().into_data(), &tensor.device())
}

#[track_caller]
fn agrees<const D: usize>(what: &str, x: &Tensor<D>, dy: &Tensor<D>) {
    let device = training_device();
    let (layer, burn_layer) = layers(x.dims()[1], &device);
    let as_it_lies = ours(&layer, x.clone().detach(), dy.clone());
    let expected = burns(&burn_layer, copied(x), copied(dy));
    assert_steps_agree(what, &as_it_lies, &expected, 2e-5);
}

#[test]
fn views_and_strides() {
    let device = training_device();
    let base: Tensor<4> = tensor(&values(1, 8 * 16 * 6 * 6), [8, 16, 6, 6], &device);
    let other: Tensor<4> = tensor(&values(2, 8 * 16 * 6 * 6), [8, 16, 6, 6], &device);
    agrees("dense", &base, &other);
    agrees("part of a batch", &base.clone().narrow(0, 3, 3), &other.clone().narrow(0, 3, 3));
    agrees("some channels", &base.clone().slice([0..8, 4..9]), &other.clone().slice([0..8, 4..9]));
    let odd = [0..8, 0..16, 1..6, 0..5];
    agrees("part of the plane", &base.clone().slice(odd.clone()), &other.clone().slice(odd));
    agrees("height and width swapped", &base.clone().swap_dims(2, 3), &other.clone().swap_dims(2, 3));
    agrees("batch and channels swapped", &base.clone().swap_dims(0, 1), &other.clone().swap_dims(0, 1));
    agrees("channels last", &base.clone().permute([0, 3, 1, 2]), &other.clone().permute([0, 3, 1, 2]));
    agrees(
        "x one way, dy the other",
        &base.clone().permute([0, 3, 1, 2]),
        &copied(&other.permute([0, 3, 1, 2])),
    );
    let repeated = base.clone().slice([0..8, 0..16, 0..1, 0..1]).expand([8, 16, 6, 6]);
    agrees("repeated", &repeated, &copied(&base));
    let row: Tensor<2> = tensor(&values(3, 40), [40, 1], &device);
    let other: Tensor<2> = tensor(&values(4, 240), [40, 6], &device);
    agrees("rows, repeated", &row.expand([40, 6]), &other);
}

#[test]
fn behind_a_convolution_and_before_one() {
    let device = training_device();
    let convolution = Conv2dConfig::new([3, 16], [3, 3]).init(&device);
    let images: Tensor<4> = tensor(&values(1, 4 * 3 * 10 * 10), [4, 3, 10, 10], &device);
    let x = convolution.forward(images).detach();
    let dy: Tensor<4> = tensor(&values(2, 4 * 16 * 8 * 8), [4, 16, 8, 8], &device);
    agrees("a convolution's output", &x, &dy);
    // The gradient comes from another convolution then.
    let (layer, burn_layer) = layers(16, &device);
    let next = Conv2dConfig::new([16, 4], [3, 3]).init(&device);
    let (our_x, burn_x) = (x.clone().require_grad(), x.require_grad());
    let gradient = |y: Tensor<4>, x: &Tensor<4>| {
        let grads = next.forward(y).powi_scalar(2).sum().backward();
        crate::case::numbers(x.grad(&grads).expect("x asks for it"))
    };
    let (our_y, burn_y) = (layer.forward(our_x.clone()), burn_layer.forward(burn_x.clone()));
    crate::case::assert_close("dx", &gradient(our_y, &our_x), &gradient(burn_y, &burn_x), 1e-4);
}
