//! Which implementation is in use, and that the answer is the same where it is Burn's.

use burn::tensor::{DType, FloatDType, Tensor};
use wgpu_batchnorm_burn::{Path, Reason};

use crate::case::{device, layers, numbers, tensor, training_device, values};

#[test]
fn the_kernels_take_f32_and_f16_on_wgpu() {
    let device = training_device();
    let (layer, _) = layers(6, &device);
    let x: Tensor<4> = tensor(&values(1, 600), [4, 6, 5, 5], &device);
    assert_eq!(layer.path(&x), Path::Kernels);
    assert_eq!(layer.path(&x.cast(FloatDType::F16)), Path::Kernels);
    let x: Tensor<4> = tensor(&values(1, 600), [4, 6, 5, 5], &crate::case::device());
    assert_eq!(layer.path(&x), Path::Kernels);
}

#[test]
fn other_types_are_burns() {
    let device = training_device();
    let (layer, _) = layers(6, &device);
    let x: Tensor<4> = tensor(&values(1, 600), [4, 6, 5, 5], &device);
    assert_eq!(layer.path(&x.cast(FloatDType::F64)), Path::Burn(Reason::Dtype(DType::F64)));
}

/// In training a variance of one value says nothing; Burn's is 0, and its y is beta.
#[test]
fn one_value_per_channel_is_burns() {
    let device = training_device();
    let (layer, burns) = layers(6, &device);
    let x: Tensor<2> = tensor(&values(1, 6), [1, 6], &device);
    let Path::Burn(reason) = layer.path(&x) else { panic!("one value has no variance") };
    assert!(reason.to_string().contains('1'), "{reason}");
    assert_eq!(numbers(layer.forward(x.clone())), numbers(burns.forward(x)));
    let means = [layer.running_mean.value_sync(), burns.running_mean.value_sync()].map(numbers);
    assert_eq!(means[0], means[1]);
    // In inference it is a value like others.
    let x: Tensor<2> = tensor(&values(1, 6), [1, 6], &device.inner());
    assert_eq!(layer.path(&x), Path::Kernels);
}

#[test]
fn an_empty_batch_is_burns() {
    let (layer, _) = layers(6, &device());
    let x = Tensor::<4>::zeros([0, 6, 5, 5], &device());
    assert_eq!(layer.path(&x), Path::Burn(Reason::Empty));
    assert_eq!(layer.forward(x).dims(), [0, 6, 5, 5]);
    // In training it changes nothing.
    let (layer, _) = layers(6, &training_device());
    assert_eq!(layer.forward(Tensor::<4>::zeros([0, 6, 5, 5], &training_device())).dims(), [0, 6, 5, 5]);
    assert_eq!(numbers(layer.running_mean.value_sync()), [0.0; 6]);
}
