//! Batch norm into the weight and bias of the layer before it.

use crate::encode::Prepared;
use crate::error::Error;
use crate::operation::operation;
use crate::options::FoldOptions;
use crate::pipeline::Context;
use crate::plan::Plan;
use crate::role::Role;
use crate::tensor::Shape;

/// Folds an inference batch norm (algorithm 2, line 12) into the convolution or linear layer before it, so that one layer
/// does what two did. For output channel o,
///
/// * `folded_weight[o] = weight[o] * gamma[o] / sqrt(running_var[o] + eps)`
/// * `folded_bias[o] = (bias[o] - running_mean[o]) * gamma[o] / sqrt(running_var[o] + eps) + beta[o]`
///
/// computed in f32 and rounded once to the storage type. A residual and an activation behind the batch norm remain to be done
/// behind the folded layer. The shape is that of the weight, its channel axis the one of the
/// outputs: 0 for a convolution or linear layer of PyTorch, `[out, in, ..]`; 1 for its transposed convolution,
/// `[in, out, ..]`; the last one in Keras, `[.., in, out]`. The results may go over `weight` and `bias`.
///
/// ```no_run
/// use wgpu_batchnorm::{Context, Dtype, Fold, FoldBuffers, FoldOptions, Shape};
///
/// # fn f(device: &wgpu::Device, encoder: &mut wgpu::CommandEncoder, weight: &wgpu::Buffer, bias: &wgpu::Buffer,
/// #      parameters: [&wgpu::Buffer; 4]) -> Result<(), wgpu_batchnorm::Error> {
/// // A convolution of 3 to 64 channels, in place.
/// let shape = Shape::new(&[64, 3, 7, 7], 0, Dtype::F32)?;
/// let fold = Fold::new(&Context::new(device), &shape, FoldOptions::default())?;
/// fold.encode(encoder, &FoldBuffers {
///     weight: weight.as_entire_buffer_binding(),
///     bias: bias.as_entire_buffer_binding(),
///     gamma: Some(parameters[0].as_entire_buffer_binding()),
///     beta: Some(parameters[1].as_entire_buffer_binding()),
///     running_mean: parameters[2].as_entire_buffer_binding(),
///     running_var: parameters[3].as_entire_buffer_binding(),
///     folded_weight: weight.as_entire_buffer_binding(),
///     folded_bias: bias.as_entire_buffer_binding(),
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Fold {
    prepared: Prepared,
}

/// The buffers of [`Fold`], with its example. Each is a range of a buffer with usage `STORAGE`, at an offset that the
/// device's `min_storage_buffer_offset_alignment` allows; more bytes than needed are no error. What is written overlaps
/// nothing else, but for `folded_weight` over `weight` and `folded_bias` over `bias`.
#[derive(Clone, Debug)]
pub struct FoldBuffers<'a> {
    /// Weight of the layer before, of the shape given, read.
    pub weight: wgpu::BufferBinding<'a>,
    /// Bias of the layer before, per output channel in the storage type of the options' `bias`, read. Zeros for a layer that
    /// has none: it has one afterwards.
    pub bias: wgpu::BufferBinding<'a>,
    /// Scale, f32 per channel, read; present if the options' `affine` has it.
    pub gamma: Option<wgpu::BufferBinding<'a>>,
    /// Shift, f32 per channel, read; present if the options' `affine` has it.
    pub beta: Option<wgpu::BufferBinding<'a>>,
    /// Mean, f32 per channel, read.
    pub running_mean: wgpu::BufferBinding<'a>,
    /// Variance, f32 per channel, read.
    pub running_var: wgpu::BufferBinding<'a>,
    /// New weight, of the same shape and storage type, written.
    pub folded_weight: wgpu::BufferBinding<'a>,
    /// New bias, like the old one, written.
    pub folded_bias: wgpu::BufferBinding<'a>,
}

impl<'a> FoldBuffers<'a> {
    /// What there always is, and nothing else: the rest is added as in
    /// `FoldBuffers { gamma, beta, ..FoldBuffers::new(..) }`, which stays right when options are added.
    pub fn new(
        weight: wgpu::BufferBinding<'a>,
        bias: wgpu::BufferBinding<'a>,
        running_mean: wgpu::BufferBinding<'a>,
        running_var: wgpu::BufferBinding<'a>,
        folded_weight: wgpu::BufferBinding<'a>,
        folded_bias: wgpu::BufferBinding<'a>,
    ) -> Self {
        Self { weight, bias, running_mean, running_var, folded_weight, folded_bias, gamma: None, beta: None }
    }

    fn given(&self) -> [(Role, Option<wgpu::BufferBinding<'a>>); 8] {
        [
            (Role::Weight, Some(self.weight.clone())),
            (Role::Bias, Some(self.bias.clone())),
            (Role::Gamma, self.gamma.clone()),
            (Role::Beta, self.beta.clone()),
            (Role::RunningMean, Some(self.running_mean.clone())),
            (Role::RunningVar, Some(self.running_var.clone())),
            (Role::FoldedWeight, Some(self.folded_weight.clone())),
            (Role::FoldedBias, Some(self.folded_bias.clone())),
        ]
    }
}

impl Fold {
    /// Plans and compiles. The shape is that of the weight.
    ///
    /// # Errors
    /// As [`Plan::fold`], and [`Error::Limit`] where the device cannot run the kernels.
    pub fn new(context: &Context, weight: &Shape, options: FoldOptions) -> Result<Self, Error> {
        Self::from_plan(context, Plan::fold(weight, &options, context.caps())?)
    }
}

operation!(Fold, FoldBuffers, "fold");
