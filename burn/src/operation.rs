//! Batch norm as operations of Burn's backends: what they take and give, with and without fusion.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, ExtensionType, backend_extension};
use wgpu_batchnorm::{Activation, Gradients, Layer, Residual};

#[cfg(feature = "fusion")]
use burn::backend::{DType, Shape, fusion::custom::TensorSpec};

/// A tensor that there may be.
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(feature = "fusion"))]
pub enum Optional<B: Backend> {
    /// There is none.
    Absent,
    /// There is one.
    Given(FloatTensor<B>),
}

impl<B: Backend> Optional<B> {
    pub(crate) fn given(self) -> Option<FloatTensor<B>> {
        match self {
            Self::Absent => None,
            Self::Given(tensor) => Some(tensor),
        }
    }
}

impl<B: Backend> From<Option<FloatTensor<B>>> for Optional<B> {
    fn from(tensor: Option<FloatTensor<B>>) -> Self {
        tensor.map_or(Self::Absent, Self::Given)
    }
}

/// Numbers of what a forward pass saves of a channel for the backward pass.
pub(crate) const SAVED: usize = 4;

/// The operations. x, y, the residual and their gradients are `[batch, channels, ...]`; what is known of each channel is
/// `[channels]`. Whoever calls has asked [`Path`](crate::Path) whether the kernels serve.
#[diagnostic::on_unimplemented(
    message = "the features `fusion` of `burn` and of `wgpu-batchnorm-burn` are not the same",
    note = "some crate turns Burn's `fusion` on: turn that of `wgpu-batchnorm-burn` on too (it is by default)"
)]
#[backend_extension(Cube, Autodiff, Fusion: cfg(feature = "fusion"))]
pub trait BatchNormOps: Backend {
    /// y, what the backward pass needs of the statistics (`[channels, 4]`, f32), and the new running mean and variance.
    #[fusion(meta = training_meta)]
    fn batch_norm_training(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        running_mean: FloatTensor<Self>,
        running_var: FloatTensor<Self>,
        #[extension_type] residual: Optional<Self>,
        layer: Layer,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// The gradients by x, gamma, beta and the residual, those that are asked for.
    #[fusion(meta = training_backward_meta)]
    fn batch_norm_training_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        saved: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        #[extension_type] residual: Optional<Self>,
        layer: Layer,
        gradients: Gradients,
    ) -> (Optional<Self>, Optional<Self>, Optional<Self>, Optional<Self>);

    /// y by the running statistics.
    #[fusion(meta = inference_meta)]
    fn batch_norm_inference(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        running_mean: FloatTensor<Self>,
        running_var: FloatTensor<Self>,
        #[extension_type] residual: Optional<Self>,
        layer: Layer,
    ) -> FloatTensor<Self>;

    /// The gradients of that, as of training.
    #[fusion(meta = inference_backward_meta)]
    fn batch_norm_inference_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        running_mean: FloatTensor<Self>,
        running_var: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        #[extension_type] residual: Optional<Self>,
        layer: Layer,
        gradients: Gradients,
    ) -> (Optional<Self>, Optional<Self>, Optional<Self>, Optional<Self>);
}

/// The residual, and the layer that has one or not.
pub(crate) fn with_residual<B: Backend>(
    residual: Optional<B>,
    layer: Layer,
) -> (Option<FloatTensor<B>>, Layer) {
    let residual = residual.given();
    let layer = with_residual_of(layer, residual.is_some());
    (residual, layer)
}

/// The layer that has a residual or not.
pub(crate) fn with_residual_of(layer: Layer, has_residual: bool) -> Layer {
    Layer { residual: if has_residual { Residual::Added } else { Residual::None }, ..layer }
}

/// Whether the backward pass has to know z, and so beta and the residual.
pub(crate) fn acts(layer: &Layer) -> bool {
    layer.activation != Activation::Identity
}

#[cfg(feature = "fusion")]
fn training_meta(
    x: &TensorSpec,
    _gamma: &TensorSpec,
    _beta: &TensorSpec,
    running_mean: &TensorSpec,
    running_var: &TensorSpec,
    _residual: &OptionalMetadata,
    _layer: &Layer,
) -> (TensorSpec, TensorSpec, TensorSpec, TensorSpec) {
    let saved = TensorSpec::new(Shape::new([running_mean.shape[0], SAVED]), DType::F32);
    (x.clone(), saved, running_mean.clone(), running_var.clone())
}

#[cfg(feature = "fusion")]
type GradientsMeta = (OptionalMetadata, OptionalMetadata, OptionalMetadata, OptionalMetadata);

#[cfg(feature = "fusion")]
fn gradients_meta(
    x: &TensorSpec,
    gamma: &TensorSpec,
    beta: &TensorSpec,
    gradients: &Gradients,
) -> GradientsMeta {
    let of = |asked: bool, like: &TensorSpec| {
        if asked { OptionalMetadata::Given(like.clone()) } else { OptionalMetadata::Absent }
    };
    let Gradients { dx, dgamma, dbeta, dresidual } = *gradients;
    (of(dx, x), of(dgamma, gamma), of(dbeta, beta), of(dresidual, x))
}

#[cfg(feature = "fusion")]
#[expect(clippy::too_many_arguments, reason = "as many as the operation has")]
fn training_backward_meta(
    x: &TensorSpec,
    gamma: &TensorSpec,
    beta: &TensorSpec,
    _saved: &TensorSpec,
    _dy: &TensorSpec,
    _residual: &OptionalMetadata,
    _layer: &Layer,
    gradients: &Gradients,
) -> GradientsMeta {
    gradients_meta(x, gamma, beta, gradients)
}

#[cfg(feature = "fusion")]
fn inference_meta(
    x: &TensorSpec,
    _gamma: &TensorSpec,
    _beta: &TensorSpec,
    _running_mean: &TensorSpec,
    _running_var: &TensorSpec,
    _residual: &OptionalMetadata,
    _layer: &Layer,
) -> TensorSpec {
    x.clone()
}

#[cfg(feature = "fusion")]
#[expect(clippy::too_many_arguments, reason = "as many as the operation has")]
fn inference_backward_meta(
    x: &TensorSpec,
    gamma: &TensorSpec,
    beta: &TensorSpec,
    _running_mean: &TensorSpec,
    _running_var: &TensorSpec,
    _dy: &TensorSpec,
    _residual: &OptionalMetadata,
    _layer: &Layer,
    gradients: &Gradients,
) -> GradientsMeta {
    gradients_meta(x, gamma, beta, gradients)
}
