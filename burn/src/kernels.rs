//! The layer by the kernels of wgpu-batchnorm.

use burn::backend::{Dispatch, DispatchTensor};
use burn::tensor::Tensor;
use wgpu_batchnorm::Layer;

use crate::operation::{BatchNormOps, Optional};

/// The output, and the new running mean and variance.
pub(crate) fn training<const D: usize>(
    input: Tensor<D>,
    [gamma, beta]: [Tensor<1>; 2],
    [mean, var]: [Tensor<1>; 2],
    residual: Option<Tensor<D>>,
    layer: Layer,
) -> (Tensor<D>, [Tensor<1>; 2]) {
    let (output, _, mean, var) = Dispatch::batch_norm_training(
        input.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        mean.into_dispatch(),
        var.into_dispatch(),
        optional(residual),
        layer,
    );
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
    Tensor::from_dispatch(Dispatch::batch_norm_inference(
        input.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        mean.into_dispatch(),
        var.into_dispatch(),
        optional(residual),
        layer,
    ))
}

fn optional<const D: usize>(tensor: Option<Tensor<D>>) -> Optional<Dispatch> {
    let tensor: Option<DispatchTensor> = tensor.map(Tensor::into_dispatch);
    tensor.into()
}
