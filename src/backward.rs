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
/// * `dz = dy * activation'(z)`, which is the gradient by the residual; dy, where there is no activation
/// * `dbeta = sum(dz)`
/// * `dgamma = invstd * sum(dz * (x - mean))`
/// * `dx = gamma * invstd * (dz - mean(dz) - (x - mean) * invstd^2 * mean(dz * (x - mean)))`
///
/// with the statistics that [`Training`](crate::Training) saved of the same x. Where there is an activation, z is computed
/// again, from x, gamma, beta and the residual. A gradient by the residual of a layer without activation is a copy of dy,
/// and better not asked for: dy is it. An empty batch gives zeros for dgamma and dbeta.
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
/// let whole = wgpu::Buffer::as_entire_buffer_binding;
/// layer.encode(encoder, &BackwardBuffers {
///     gamma: Some(whole(parameters[0])),
///     dx: Some(whole(tensors[2])),
///     dgamma: Some(whole(parameters[1])),
///     dbeta: Some(whole(parameters[2])),
///     ..BackwardBuffers::new(whole(tensors[0]), whole(tensors[1]), whole(saved), whole(workspace))
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
/// nothing else, but that dx may lie exactly over dy; where a buffer is both read and written, inputs do not overlap each
/// other either. Example at [`Backward`].
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
    /// What there always is, and nothing else: the rest is added as in
    /// `BackwardBuffers { gamma, dx, ..BackwardBuffers::new(..) }`, which stays right when options are added.
    pub fn new(
        x: wgpu::BufferBinding<'a>,
        dy: wgpu::BufferBinding<'a>,
        saved: wgpu::BufferBinding<'a>,
        workspace: wgpu::BufferBinding<'a>,
    ) -> Self {
        Self {
            x,
            dy,
            saved,
            workspace,
            residual: None,
            gamma: None,
            beta: None,
            dx: None,
            dresidual: None,
            dgamma: None,
            dbeta: None,
        }
    }

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
