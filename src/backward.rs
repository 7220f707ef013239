//! The training backward pass.

use crate::encode::Prepared;
use crate::error::Error;
use crate::operation::operation;
use crate::options::BackwardOptions;
use crate::pipeline::Context;
use crate::plan::Plan;
use crate::role::Role;
use crate::tensor::Shape;

/// The training backward pass, the derivatives of section 3 of the paper:
///
/// * `dbeta = sum(dy)`
/// * `dgamma = invstd * sum(dy * (x - mean))`
/// * `dx = gamma * invstd * (dy - mean(dy) - (x - mean) * invstd^2 * mean(dy * (x - mean)))`
///
/// with the statistics that [`Training`](crate::Training) saved of the same x. An empty batch gives zeros for dgamma
/// and dbeta.
///
/// ```no_run
/// use wgpu_batchnorm::{Backward, BackwardBuffers, BackwardOptions, Context, Dtype, Shape};
///
/// # fn f(device: &wgpu::Device, encoder: &mut wgpu::CommandEncoder, tensors: [&wgpu::Buffer; 3],
/// #      saved: &wgpu::Buffer, workspace: &wgpu::Buffer, parameters: [&wgpu::Buffer; 3])
/// #      -> Result<(), wgpu_batchnorm::Error> {
/// let context = Context::new(device);
/// let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
/// let layer = Backward::new(&context, &shape, BackwardOptions::default())?;
/// assert!(workspace.size() >= layer.workspace_size());
/// layer.encode(encoder, &BackwardBuffers {
///     x: tensors[0].as_entire_buffer_binding(),
///     dy: tensors[1].as_entire_buffer_binding(),
///     dx: Some(tensors[2].as_entire_buffer_binding()),
///     saved: saved.as_entire_buffer_binding(),
///     residual: None,
///     beta: None,
///     dresidual: None,
///     gamma: Some(parameters[0].as_entire_buffer_binding()),
///     dgamma: Some(parameters[1].as_entire_buffer_binding()),
///     dbeta: Some(parameters[2].as_entire_buffer_binding()),
///     workspace: workspace.as_entire_buffer_binding(),
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Backward {
    prepared: Prepared,
}

/// The buffers of [`Backward`]. Each is a range of a buffer with usage `STORAGE`, at an offset that the device's
/// `min_storage_buffer_offset_alignment` allows; more bytes than needed are no error. What is written overlaps
/// nothing else, and where a buffer is both read and written, inputs overlap neither. Example at [`Backward`].
#[derive(Clone, Debug)]
pub struct BackwardBuffers<'a> {
    /// Input tensor of the forward pass, read.
    pub x: wgpu::BufferBinding<'a>,
    /// Gradient of the loss by y, of the same shape and storage type, read.
    pub dy: wgpu::BufferBinding<'a>,
    /// [`SavedStatistics`](crate::SavedStatistics) per channel from the forward pass, read.
    pub saved: wgpu::BufferBinding<'a>,
    /// What was added in the forward pass, read; present if the options have a residual and an activation.
    pub residual: Option<wgpu::BufferBinding<'a>>,
    /// Scale, f32 per channel, read; present if the options' `affine` has it, and dx is asked for or there is an activation.
    pub gamma: Option<wgpu::BufferBinding<'a>>,
    /// Shift, f32 per channel, read; present if the options' `affine` has it, and there is an activation.
    pub beta: Option<wgpu::BufferBinding<'a>>,
    /// Gradient of the loss by x, of the same shape and storage type, written; present if asked for.
    pub dx: Option<wgpu::BufferBinding<'a>>,
    /// Gradient of the loss by the residual, of the same shape and storage type, written; present if asked for.
    pub dresidual: Option<wgpu::BufferBinding<'a>>,
    /// Gradient of the loss by gamma, f32 per channel, written; present if asked for.
    pub dgamma: Option<wgpu::BufferBinding<'a>>,
    /// Gradient of the loss by beta, f32 per channel, written; present if asked for.
    pub dbeta: Option<wgpu::BufferBinding<'a>>,
    /// Scratch memory of [`Backward::workspace_size`] bytes.
    pub workspace: wgpu::BufferBinding<'a>,
}

impl<'a> BackwardBuffers<'a> {
    fn given(&self) -> [(Role, Option<wgpu::BufferBinding<'a>>); 11] {
        [
            (Role::X, Some(self.x.clone())),
            (Role::Dy, Some(self.dy.clone())),
            (Role::Saved, Some(self.saved.clone())),
            (Role::Residual, self.residual.clone()),
            (Role::Gamma, self.gamma.clone()),
            (Role::Beta, self.beta.clone()),
            (Role::Dx, self.dx.clone()),
            (Role::Dresidual, self.dresidual.clone()),
            (Role::Dgamma, self.dgamma.clone()),
            (Role::Dbeta, self.dbeta.clone()),
            (Role::Workspace, Some(self.workspace.clone())),
        ]
    }
}

impl Backward {
    /// Plans and compiles.
    ///
    /// # Errors
    /// As [`Plan::backward`], and [`Error::Limit`] where the device cannot run the kernels.
    pub fn new(context: &Context, shape: &Shape, options: BackwardOptions) -> Result<Self, Error> {
        Self::from_plan(context, Plan::backward(shape, &options, context.caps())?)
    }
}

operation!(Backward, BackwardBuffers, "backward", workspace);
