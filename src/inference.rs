//! Inference: normalization by the running statistics.

use crate::encode::Prepared;
use crate::error::Error;
use crate::operation::operation;
use crate::options::InferenceOptions;
use crate::pipeline::Context;
use crate::plan::Plan;
use crate::role::Role;
use crate::tensor::Shape;

/// Inference, algorithm 2 line 12 of the paper: `y = (x - running_mean) / sqrt(running_var + eps) * gamma + beta`.
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
/// layer.encode(encoder, &InferenceBuffers {
///     x: x.as_entire_buffer_binding(),
///     y: y.as_entire_buffer_binding(),
///     gamma: Some(parameters[0].as_entire_buffer_binding()),
///     beta: Some(parameters[1].as_entire_buffer_binding()),
///     running_mean: parameters[2].as_entire_buffer_binding(),
///     running_var: parameters[3].as_entire_buffer_binding(),
///     residual: None,
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
/// nothing else, and where a buffer is both read and written, inputs overlap neither. Example at [`Inference`].
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
