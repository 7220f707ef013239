//! Inference: normalization by the running statistics.

use crate::encode::Prepared;
use crate::error::Error;
use crate::operation::operation;
use crate::options::InferenceOptions;
use crate::pipeline::Context;
use crate::plan::Plan;
use crate::role::Role;
use crate::tensor::Shape;

/// Inference, algorithm 2 line 12 of the paper: `z = (x - running_mean) / sqrt(running_var + eps) * gamma + beta`, and
/// `y = activation(z + residual)` where the options have them.
///
/// An infinite or NaN value of x stays where it is. An infinite running variance gives beta for finite x.
///
/// ```no_run
/// use wgpu_batchnorm::{Context, Dtype, Inference, InferenceBuffers, InferenceOptions, Shape};
///
/// # fn f(device: &wgpu::Device, encoder: &mut wgpu::CommandEncoder, x: &wgpu::Buffer, y: &wgpu::Buffer,
/// #      parameters: [&wgpu::Buffer; 4]) -> Result<(), wgpu_batchnorm::Error> {
/// let context = Context::new(device);
/// let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
/// let layer = Inference::new(&context, &shape, InferenceOptions::default())?;
/// let whole = wgpu::Buffer::as_entire_buffer_binding;
/// layer.encode(encoder, &InferenceBuffers {
///     gamma: Some(whole(parameters[0])),
///     beta: Some(whole(parameters[1])),
///     ..InferenceBuffers::new(whole(x), whole(y), whole(parameters[2]), whole(parameters[3]))
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Inference {
    prepared: Prepared,
}

/// The buffers of [`Inference`]. Each is a range of a buffer with usage `STORAGE`, at an offset that the device's
/// `min_storage_buffer_offset_alignment` allows; more bytes than needed are no error. What is written overlaps
/// nothing else, but that y may lie exactly over x; where a buffer is both read and written, inputs do not overlap each
/// other either. Example at [`Inference`].
#[derive(Clone, Debug)]
pub struct InferenceBuffers<'a> {
    /// Input tensor, read.
    pub x: wgpu::BufferBinding<'a>,
    /// Output tensor of the same shape and storage type, written.
    pub y: wgpu::BufferBinding<'a>,
    /// Scale, f32 per channel, read; present if the options' `affine` has it.
    pub gamma: Option<wgpu::BufferBinding<'a>>,
    /// Shift, f32 per channel, read; present if the options' `affine` has it.
    pub beta: Option<wgpu::BufferBinding<'a>>,
    /// Mean, f32 per channel, read.
    pub running_mean: wgpu::BufferBinding<'a>,
    /// Variance, f32 per channel, read.
    pub running_var: wgpu::BufferBinding<'a>,
    /// Tensor of the same shape and storage type that is added before the activation, read; present if the options have it.
    pub residual: Option<wgpu::BufferBinding<'a>>,
}

impl<'a> InferenceBuffers<'a> {
    /// What there always is, and nothing else: the rest is added as in
    /// `InferenceBuffers { gamma, beta, ..InferenceBuffers::new(..) }`, which stays right when options are added.
    pub fn new(
        x: wgpu::BufferBinding<'a>,
        y: wgpu::BufferBinding<'a>,
        running_mean: wgpu::BufferBinding<'a>,
        running_var: wgpu::BufferBinding<'a>,
    ) -> Self {
        Self { x, y, running_mean, running_var, gamma: None, beta: None, residual: None }
    }

    fn given(&self) -> [(Role, Option<wgpu::BufferBinding<'a>>); 7] {
        [
            (Role::X, Some(self.x.clone())),
            (Role::Y, Some(self.y.clone())),
            (Role::Gamma, self.gamma.clone()),
            (Role::Beta, self.beta.clone()),
            (Role::RunningMean, Some(self.running_mean.clone())),
            (Role::RunningVar, Some(self.running_var.clone())),
            (Role::Residual, self.residual.clone()),
        ]
    }
}

impl Inference {
    /// Plans and compiles.
    ///
    /// # Errors
    /// As [`Plan::inference`], and [`Error::Limit`] where the device cannot run the kernels.
    pub fn new(context: &Context, shape: &Shape, options: InferenceOptions) -> Result<Self, Error> {
        Self::from_plan(context, Plan::inference(shape, &options, context.caps())?)
    }
}

operation!(Inference, InferenceBuffers, "inference");
