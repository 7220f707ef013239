//! The training forward pass.

use crate::encode::Prepared;
use crate::error::Error;
use crate::operation::operation;
use crate::options::TrainingOptions;
use crate::pipeline::Context;
use crate::plan::Plan;
use crate::role::Role;
use crate::running::Momentum;
use crate::tensor::Shape;

/// The training forward pass, algorithm 1 of the paper: `z = (x - mean) / sqrt(variance + eps) * gamma + beta` with
/// the mean and biased variance of the batch, which it saves for the backward pass; `y = activation(z + residual)` where the
/// options have them; and the update of the running statistics, if any are kept.
///
/// A NaN or infinite value makes all of its channel NaN, and that channel's running variance; the running mean becomes
/// NaN, or that infinity where all infinite values are the same; other channels do not see it.
/// [`Update::IfChannelFinite`](crate::Update) and `IfLayerFinite` keep such a batch out of the running statistics; y is what it
/// is. An empty batch records nothing but the copy of running statistics to fresh buffers:
/// running and saved ones stay as they are. Where systems differ this is PyTorch's answer.
///
/// ```no_run
/// use wgpu_batchnorm::{Context, Dtype, Shape, Training, TrainingBuffers, TrainingOptions};
///
/// # fn f(device: &wgpu::Device, encoder: &mut wgpu::CommandEncoder, x: &wgpu::Buffer, y: &wgpu::Buffer,
/// #      saved: &wgpu::Buffer, workspace: &wgpu::Buffer, parameters: [&wgpu::Buffer; 4])
/// #      -> Result<(), wgpu_batchnorm::Error> {
/// let context = Context::new(device);
/// let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
/// let layer = Training::new(&context, &shape, TrainingOptions::default())?;
/// assert!(workspace.size() >= layer.workspace_size());
/// let whole = wgpu::Buffer::as_entire_buffer_binding;
/// layer.encode(encoder, &TrainingBuffers {
///     gamma: Some(whole(parameters[0])),
///     beta: Some(whole(parameters[1])),
///     running_mean: Some(whole(parameters[2])),
///     running_var: Some(whole(parameters[3])),
///     ..TrainingBuffers::new(whole(x), whole(y), whole(saved), whole(workspace))
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Training {
    prepared: Prepared,
}

/// The buffers of [`Training`]. Each is a range of a buffer with usage `STORAGE`, at an offset that the device's
/// `min_storage_buffer_offset_alignment` allows; more bytes than needed are no error. What is written overlaps
/// nothing else, but that y may lie exactly over x (which a backward pass would still need); where a buffer is both read and
/// written, inputs do not overlap each other either. Example at [`Training`].
#[derive(Clone, Debug)]
pub struct TrainingBuffers<'a> {
    /// Input tensor, read.
    pub x: wgpu::BufferBinding<'a>,
    /// Output tensor of the same shape and storage type, written.
    pub y: wgpu::BufferBinding<'a>,
    /// Scale, f32 per channel, read; present if the options' `affine` has it.
    pub gamma: Option<wgpu::BufferBinding<'a>>,
    /// Shift, f32 per channel, read; present if the options' `affine` has it.
    pub beta: Option<wgpu::BufferBinding<'a>>,
    /// Running mean, f32 per channel, updated; present if the options have `running`.
    pub running_mean: Option<wgpu::BufferBinding<'a>>,
    /// Running variance, f32 per channel, updated; present if the options have `running`.
    pub running_var: Option<wgpu::BufferBinding<'a>>,
    /// Tensor of the same shape and storage type that is added before the activation, read; present if the options have it.
    pub residual: Option<wgpu::BufferBinding<'a>>,
    /// New running mean, f32 per channel, written; present if `running` has a fresh target.
    pub new_running_mean: Option<wgpu::BufferBinding<'a>>,
    /// New running variance, f32 per channel, written; present if `running` has a fresh target.
    pub new_running_var: Option<wgpu::BufferBinding<'a>>,
    /// [`RunningCounters`](crate::RunningCounters) per channel, updated; present if
    /// [`RunningStatistics::needs_counters`](crate::RunningStatistics::needs_counters).
    pub counters: Option<wgpu::BufferBinding<'a>>,
    /// [`SavedStatistics`](crate::SavedStatistics) per channel, written.
    pub saved: wgpu::BufferBinding<'a>,
    /// Scratch memory of [`Training::workspace_size`] bytes.
    pub workspace: wgpu::BufferBinding<'a>,
}

impl<'a> TrainingBuffers<'a> {
    /// What there always is, and nothing else: the rest is added as in
    /// `TrainingBuffers { gamma, beta, ..TrainingBuffers::new(..) }`, which stays right when options are added.
    pub fn new(
        x: wgpu::BufferBinding<'a>,
        y: wgpu::BufferBinding<'a>,
        saved: wgpu::BufferBinding<'a>,
        workspace: wgpu::BufferBinding<'a>,
    ) -> Self {
        Self {
            x,
            y,
            saved,
            workspace,
            gamma: None,
            beta: None,
            running_mean: None,
            running_var: None,
            residual: None,
            new_running_mean: None,
            new_running_var: None,
            counters: None,
        }
    }

    fn given(&self) -> [(Role, Option<wgpu::BufferBinding<'a>>); 12] {
        [
            (Role::X, Some(self.x.clone())),
            (Role::Y, Some(self.y.clone())),
            (Role::Gamma, self.gamma.clone()),
            (Role::Beta, self.beta.clone()),
            (Role::RunningMean, self.running_mean.clone()),
            (Role::RunningVar, self.running_var.clone()),
            (Role::Residual, self.residual.clone()),
            (Role::NewRunningMean, self.new_running_mean.clone()),
            (Role::NewRunningVar, self.new_running_var.clone()),
            (Role::Counters, self.counters.clone()),
            (Role::Saved, Some(self.saved.clone())),
            (Role::Workspace, Some(self.workspace.clone())),
        ]
    }
}

impl Training {
    /// Plans and compiles.
    ///
    /// # Errors
    /// As [`Plan::training`], and [`Error::Limit`] where the device cannot run the kernels.
    pub fn new(context: &Context, shape: &Shape, options: TrainingOptions) -> Result<Self, Error> {
        Self::from_plan(context, Plan::training(shape, &options, context.caps())?)
    }

    /// Takes another momentum from the next recording on; what is recorded keeps the one it had. Cheap: nothing is
    /// compiled.
    ///
    /// A cumulative average whose batches the caller counts is a momentum of 1 / n for the new value at the n-th.
    ///
    /// # Errors
    /// [`Error::Momentum`] if it is not finite, [`Error::NoRunningStatistics`] if the options had no `running`,
    /// [`Error::Running`] to or from [`Momentum::Cumulative`], which counts on the GPU: another plan.
    ///
    /// ```no_run
    /// # fn f(mut layer: wgpu_batchnorm::Training) -> Result<(), wgpu_batchnorm::Error> {
    /// for batch in 1..=100u16 {
    ///     layer.set_momentum(wgpu_batchnorm::Momentum::OfNew(1.0 / f32::from(batch)))?;
    ///     // layer.encode(..)
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_momentum(&mut self, momentum: Momentum) -> Result<(), Error> {
        momentum.check()?;
        let weight = momentum.weight().filter(|_| !self.plan().is_cumulative());
        let Some(weight) = weight else {
            let reason = "a cumulative average is described from the start, and has no momentum to set";
            return Err(Error::Running { reason });
        };
        if !self.plan().arguments().iter().any(|argument| argument.role == Role::RunningMean) {
            return Err(Error::NoRunningStatistics);
        }
        self.prepared.set_momentum(weight);
        Ok(())
    }
}

operation!(Training, TrainingBuffers, "training", workspace);
