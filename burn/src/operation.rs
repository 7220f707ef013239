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

/// What y is differentiated by. x and the residual are `[batch, channels, ...]`, gamma and beta `[channels]`.
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(feature = "fusion"))]
pub struct Inputs<B: Backend> {
    /// What is normalized.
    pub x: FloatTensor<B>,
    /// Scale.
    pub gamma: FloatTensor<B>,
    /// Shift.
    pub beta: FloatTensor<B>,
    /// What is added before the activation.
    #[extension_type]
    pub residual: Optional<B>,
}

impl<B: Backend> Inputs<B> {
    /// The layer, with a residual where there is one.
    pub(crate) fn layer(&self, layer: Layer) -> Layer {
        with_residual(layer, matches!(self.residual, Optional::Given(_)))
    }
}

/// The running statistics, `[channels]` each.
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(feature = "fusion"))]
pub struct Running<B: Backend> {
    /// Mean.
    pub mean: FloatTensor<B>,
    /// Variance.
    pub var: FloatTensor<B>,
}

/// The gradients by [`Inputs`], those that were asked for.
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(feature = "fusion"))]
pub struct InputGradients<B: Backend> {
    /// By x.
    #[extension_type]
    pub dx: Optional<B>,
    /// By gamma.
    #[extension_type]
    pub dgamma: Optional<B>,
    /// By beta.
    #[extension_type]
    pub dbeta: Optional<B>,
    /// By the residual.
    #[extension_type]
    pub dresidual: Optional<B>,
}

/// Numbers of what a forward pass saves of a channel for the backward pass.
pub(crate) const SAVED: usize = 4;

/// The operations. Whoever calls has asked [`Path`](crate::Path) whether the kernels serve.
#[diagnostic::on_unimplemented(
    message = "the features `fusion` of `burn` and of `wgpu-batchnorm-burn` are not the same",
    note = "some crate turns Burn's `fusion` on: turn that of `wgpu-batchnorm-burn` on too (it is by default)"
)]
#[backend_extension(Cube, Autodiff, Fusion: cfg(feature = "fusion"))]
pub trait BatchNormOps: Backend {
    /// y, what the backward pass needs of the statistics (`[channels, 4]`, f32), and the new running statistics.
    #[fusion(meta = training_meta)]
    fn batch_norm_training(
        #[extension_type] inputs: Inputs<Self>,
        #[extension_type] running: Running<Self>,
        layer: Layer,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, Running<Self>);

    /// The gradients of that.
    #[fusion(meta = training_backward_meta)]
    fn batch_norm_training_backward(
        #[extension_type] inputs: Inputs<Self>,
        saved: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        layer: Layer,
        gradients: Gradients,
    ) -> InputGradients<Self>;

    /// y by the running statistics.
    #[fusion(meta = inference_meta)]
    fn batch_norm_inference(
        #[extension_type] inputs: Inputs<Self>,
        #[extension_type] running: Running<Self>,
        layer: Layer,
    ) -> FloatTensor<Self>;

    /// The gradients of that.
    #[fusion(meta = inference_backward_meta)]
    fn batch_norm_inference_backward(
        #[extension_type] inputs: Inputs<Self>,
        #[extension_type] running: Running<Self>,
        dy: FloatTensor<Self>,
        layer: Layer,
        gradients: Gradients,
    ) -> InputGradients<Self>;
}

/// The layer that has a residual or not.
pub(crate) fn with_residual(layer: Layer, has_residual: bool) -> Layer {
    Layer { residual: if has_residual { Residual::Added } else { Residual::None }, ..layer }
}

/// Whether the backward pass has to know z, and so beta and the residual.
pub(crate) fn acts(layer: &Layer) -> bool {
    layer.activation != Activation::Identity
}

#[cfg(feature = "fusion")]
fn training_meta(
    inputs: &InputsMetadata,
    running: &RunningMetadata,
    _layer: &Layer,
) -> (TensorSpec, TensorSpec, RunningMetadata) {
    let saved = TensorSpec::new(Shape::new([running.mean.shape[0], SAVED]), DType::F32);
    (inputs.x.clone(), saved, running.clone())
}

#[cfg(feature = "fusion")]
fn training_backward_meta(
    inputs: &InputsMetadata,
    _saved: &TensorSpec,
    _dy: &TensorSpec,
    _layer: &Layer,
    gradients: &Gradients,
) -> InputGradientsMetadata {
    gradients_meta(inputs, gradients)
}

#[cfg(feature = "fusion")]
fn inference_meta(inputs: &InputsMetadata, _running: &RunningMetadata, _layer: &Layer) -> TensorSpec {
    inputs.x.clone()
}

#[cfg(feature = "fusion")]
fn inference_backward_meta(
    inputs: &InputsMetadata,
    _running: &RunningMetadata,
    _dy: &TensorSpec,
    _layer: &Layer,
    gradients: &Gradients,
) -> InputGradientsMetadata {
    gradients_meta(inputs, gradients)
}

#[cfg(feature = "fusion")]
fn gradients_meta(inputs: &InputsMetadata, gradients: &Gradients) -> InputGradientsMetadata {
    let of = |asked: bool, like: &TensorSpec| {
        if asked { OptionalMetadata::Given(like.clone()) } else { OptionalMetadata::Absent }
    };
    InputGradientsMetadata {
        dx: of(gradients.dx, &inputs.x),
        dgamma: of(gradients.dgamma, &inputs.gamma),
        dbeta: of(gradients.dbeta, &inputs.beta),
        dresidual: of(gradients.dresidual, &inputs.x),
    }
}
