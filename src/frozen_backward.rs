//! The backward pass of inference.

use crate::encode::Prepared;
use crate::error::Error;
use crate::operation::operation;
use crate::options::FrozenBackwardOptions;
use crate::pipeline::Context;
use crate::plan::Plan;
use crate::role::Role;
use crate::tensor::Shape;

/// The backward pass of [`Inference`](crate::Inference): of a layer whose statistics are frozen, as in PyTorch's `eval()`.
/// They do not depend on x, so that
///
/// * `dz = dy * activation'(z)`, which is the gradient by the residual
/// * `dbeta = sum(dz)`
/// * `dgamma = sum(dz * (x - running_mean)) / sqrt(running_var + eps)`
/// * `dx = dz * gamma / sqrt(running_var + eps)`
///
/// The statistics' own gradients, for those who train them, follow from these: that of running_mean is
/// `-dbeta * gamma / sqrt(running_var + eps)`, that of running_var `-dgamma * gamma / (2 * (running_var + eps))`.
///
/// Where an activation is to be gone through, z is computed again from x. x is read for that and for dgamma; with neither,
/// dx takes one reading of dy. An empty batch gives zeros for dgamma and dbeta.
///
/// ```no_run
/// use wgpu_batchnorm::{Context, Dtype, FrozenBackward, FrozenBackwardBuffers, FrozenBackwardOptions, Gradients, Shape};
///
/// # fn f(device: &wgpu::Device, encoder: &mut wgpu::CommandEncoder, dy: &wgpu::Buffer, dx: &wgpu::Buffer,
/// #      workspace: &wgpu::Buffer, parameters: [&wgpu::Buffer; 3]) -> Result<(), wgpu_batchnorm::Error> {
/// let context = Context::new(device);
/// let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
/// let gradients = Gradients { dx: true, ..Gradients::NONE };
/// let options = FrozenBackwardOptions { gradients, ..Default::default() };
/// let layer = FrozenBackward::new(&context, &shape, options)?;
/// assert!(workspace.size() >= layer.workspace_size());
/// let whole = wgpu::Buffer::as_entire_buffer_binding;
/// let [running_mean, running_var, gamma] = parameters.map(whole);
/// layer.encode(encoder, &FrozenBackwardBuffers {
///     gamma: Some(gamma),
///     dx: Some(whole(dx)),
///     ..FrozenBackwardBuffers::new(whole(dy), running_mean, running_var, whole(workspace))
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FrozenBackward {
    prepared: Prepared,
}

/// The buffers of [`FrozenBackward`], with its example; the rules are those of
/// [`BackwardBuffers`](crate::BackwardBuffers): dx may go over dy.
#[derive(Clone, Debug)]
pub struct FrozenBackwardBuffers<'a> {
    /// Input tensor of the forward pass, read; present if dgamma is asked for, or the options have an activation.
    pub x: Option<wgpu::BufferBinding<'a>>,
    /// Gradient of the loss by y, of the same shape and storage type, read.
    pub dy: wgpu::BufferBinding<'a>,
    /// What was added in the forward pass, read; present if the options have a residual and an activation.
    pub residual: Option<wgpu::BufferBinding<'a>>,
    /// Mean, f32 per channel, read.
    pub running_mean: wgpu::BufferBinding<'a>,
    /// Variance, f32 per channel, read.
    pub running_var: wgpu::BufferBinding<'a>,
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
    /// Scratch memory of [`FrozenBackward::workspace_size`] bytes.
    pub workspace: wgpu::BufferBinding<'a>,
}

impl<'a> FrozenBackwardBuffers<'a> {
    /// What there always is, and nothing else: the rest is added as in
    /// `FrozenBackwardBuffers { gamma, dx, ..FrozenBackwardBuffers::new(..) }`, which stays right when options are added.
    pub fn new(
        dy: wgpu::BufferBinding<'a>,
        running_mean: wgpu::BufferBinding<'a>,
        running_var: wgpu::BufferBinding<'a>,
        workspace: wgpu::BufferBinding<'a>,
    ) -> Self {
        Self {
            dy,
            running_mean,
            running_var,
            workspace,
            x: None,
            residual: None,
            gamma: None,
            beta: None,
            dx: None,
            dresidual: None,
            dgamma: None,
            dbeta: None,
        }
    }

    fn given(&self) -> [(Role, Option<wgpu::BufferBinding<'a>>); 12] {
        [
            (Role::X, self.x.clone()),
            (Role::Dy, Some(self.dy.clone())),
            (Role::Residual, self.residual.clone()),
            (Role::RunningMean, Some(self.running_mean.clone())),
            (Role::RunningVar, Some(self.running_var.clone())),
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

impl FrozenBackward {
    /// Plans and compiles.
    ///
    /// # Errors
    /// As [`Plan::frozen_backward`], and [`Error::Limit`] where the device cannot run the kernels.
    pub fn new(context: &Context, shape: &Shape, options: FrozenBackwardOptions) -> Result<Self, Error> {
        Self::from_plan(context, Plan::frozen_backward(shape, &options, context.caps())?)
    }
}

operation!(FrozenBackward, FrozenBackwardBuffers, "frozen_backward", workspace);
