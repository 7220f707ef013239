//! Tensors in f16: the layer computes in f32 and rounds once.

use burn::module::{Param, RunningState};
use burn::tensor::{FloatDType, Tensor};
use wgpu_batchnorm_burn::Path;

use crate::case::{assert_close, layers, numbers, tensor, training_device, values};

#[test]
fn f16_is_f32_rounded_once() {
    let device = training_device();
    let (layer, _) = layers(6, &device);
    // 6 x 5 x 5 values in a row: no whole vectors of 8.
    for dims in [[4, 6, 5, 5], [4, 6, 4, 4], [3, 6, 1, 1]] {
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
