//! Tensors in f16: the layer computes in f32 and rounds once.

use burn::module::{Param, RunningState};
use burn::tensor::{FloatDType, Tensor};
use wgpu_batchnorm_burn::Path;

use crate::case::{assert_close, layers, numbers, tensor, training_device, values};

#[test]
fn f16_is_f32_rounded_once() {
    let device = training_device();
    let (layer, _) = layers(6, &device);
    // 6 x 5 x 5 values in a row: no whole vectors of 8; 3 x 5 x 3 x 3 in all: half a word is left.
    for dims in [[4, 6, 5, 5], [4, 6, 4, 4], [3, 6, 1, 1], [16, 6, 12, 12]] {
        let len = dims.iter().product();
        let half =
            |seed| -> Tensor<4> { tensor(&values(seed, len), dims, &device).cast(FloatDType::F16).detach() };
        let (x, dy) = (half(1).require_grad(), half(2));
        assert_eq!(layer.path(&x), Path::Kernels);
        let y = layer.forward(x.clone());
        let grads = (y.clone() * dy.clone()).sum().backward();
        let wide_x = x.clone().cast(FloatDType::F32).detach().require_grad();
        let wide_y = layers(6, &device).0.forward(wide_x.clone());
        let wide = (wide_y.clone() * dy.cast(FloatDType::F32)).sum().backward();
        // Half a unit in the last place of the largest.
        assert_close("y", &numbers(y), &numbers(wide_y), 6e-4);
        let dx = |x: &Tensor<4>, grads| numbers(x.grad(grads).expect("x asks for it"));
        assert_close("dx", &dx(&x, &grads), &dx(&wide_x, &wide), 6e-4);
    }
}

/// An odd number of values ends in half a word.
#[test]
fn an_odd_number_of_f16() {
    let device = training_device();
    let (layer, burns) = layers(5, &device);
    let wide: Tensor<3> = tensor(&values(1, 105), [7, 5, 3], &device);
    let y = layer.forward(wide.clone().cast(FloatDType::F16).detach());
    assert_close("y", &numbers(y), &numbers(burns.forward(wide.clone())), 2e-3);
    // And as a part of a batch.
    let part = wide.clone().cast(FloatDType::F16).detach().narrow(0, 2, 3);
    let expected = burns.forward(wide.narrow(0, 2, 3));
    assert_close("y of a part", &numbers(layer.forward(part)), &numbers(expected), 2e-3);
}

/// Where the kernels do not serve, Burn's operations would not take a layer in f32.
#[test]
fn f16_in_a_layer_of_f32_by_burns_operations() {
    let device = training_device();
    let (layer, _) = layers(6, &device);
    let x: Tensor<2> = tensor(&values(1, 6), [1, 6], &device).cast(FloatDType::F16).detach();
    assert!(matches!(layer.path(&x), Path::Burn(_)));
    let y = layer.forward(x);
    assert_eq!(y.dtype(), burn::tensor::DType::F16);
    assert_close("y", &numbers(y), &numbers(layer.beta.val()), 1e-3);
    let mean = layer.running_mean.value_sync();
    assert_eq!(mean.dtype(), burn::tensor::DType::F32);
}

/// A residual of another type is converted, and its gradient back.
#[test]
fn a_residual_in_f32_beside_f16() {
    let device = training_device();
    let (layer, _) = layers(6, &device);
    let dims = [4, 6, 4, 4];
    let x: Tensor<4> = tensor(&values(1, 384), dims, &device).cast(FloatDType::F16).detach();
    let residual: Tensor<4> = tensor(&values(2, 384), dims, &device).require_grad();
    let y = layer.forward_residual(x, residual.clone());
    let grads = y.sum().backward();
    let gradient = residual.grad(&grads).expect("it asks for it");
    assert_eq!(gradient.dtype(), burn::tensor::DType::F32);
    assert_eq!(numbers(gradient), vec![1.0; 384]);
}

#[test]
fn a_layer_in_f16_keeps_its_types() {
    let device = training_device();
    let (mut layer, _) = layers(6, &device);
    let half = |tensor: Tensor<1>| tensor.cast(FloatDType::F16).detach();
    (layer.gamma, layer.beta) =
        (Param::from_tensor(half(layer.gamma.val())), Param::from_tensor(half(layer.beta.val())));
    layer.running_mean = RunningState::new(half(layer.running_mean.value()));
    layer.running_var = RunningState::new(half(layer.running_var.value()));
    let dims = [4, 6, 4, 4];
    let x = tensor::<4>(&values(1, 384), dims, &device).cast(FloatDType::F16).detach().require_grad();
    let y = layer.forward(x.clone());
    let grads = y.clone().sum().backward();
    let dtypes = [
        y.dtype(),
        x.grad(&grads).expect("x asks for it").dtype(),
        layer.gamma.val().grad(&grads).expect("gamma does").dtype(),
        layer.running_mean.value_sync().dtype(),
        layer.running_var.value_sync().dtype(),
    ];
    assert_eq!(dtypes, [burn::tensor::DType::F16; 5]);
}
