//! The update of the running statistics, apart from the forward pass.

use crate::encode::Prepared;
use crate::error::Error;
use crate::operation::operation;
use crate::pipeline::Context;
use crate::plan::Plan;
use crate::role::Role;
use crate::running::RunningStatistics;
use crate::tensor::Shape;

/// The update of the running statistics (algorithm 2, lines 7 to 11) from what a forward pass has saved, as an operation of
/// its own: for forward passes that run more than once for each batch, as with activation checkpointing, and for those
/// whose batch is only later known to be a good one. The forward pass itself is then described with `running: None`.
///
/// The shape is that of the batch whose statistics are saved: after a merge of parts, that of all of them together. It says
/// how many values a channel has, for the unbiased variance. An empty batch changes nothing:
/// it records nothing, or the copy to fresh buffers.
///
/// ```no_run
/// use wgpu_batchnorm::{Context, Dtype, RunningStatistics, RunningUpdate, RunningUpdateBuffers, Shape};
///
/// # fn f(device: &wgpu::Device, encoder: &mut wgpu::CommandEncoder, saved: &wgpu::Buffer, running: [&wgpu::Buffer; 2])
/// #      -> Result<(), wgpu_batchnorm::Error> {
/// let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
/// let update = RunningUpdate::new(&Context::new(device), &shape, RunningStatistics::default())?;
/// let whole = wgpu::Buffer::as_entire_buffer_binding;
/// update.encode(encoder, &RunningUpdateBuffers::new(whole(saved), whole(running[0]), whole(running[1])))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RunningUpdate {
    prepared: Prepared,
}

/// The buffers of [`RunningUpdate`], with its example; the rules are those of [`TrainingBuffers`](crate::TrainingBuffers).
#[derive(Clone, Debug)]
pub struct RunningUpdateBuffers<'a> {
    /// [`SavedStatistics`](crate::SavedStatistics) per channel from the forward pass, read.
    pub saved: wgpu::BufferBinding<'a>,
    /// Running mean, f32 per channel, updated; only read if the target is fresh.
    pub running_mean: wgpu::BufferBinding<'a>,
    /// Running variance, f32 per channel, updated; only read if the target is fresh.
    pub running_var: wgpu::BufferBinding<'a>,
    /// New running mean, f32 per channel, written; present if the target is fresh.
    pub new_running_mean: Option<wgpu::BufferBinding<'a>>,
    /// New running variance, f32 per channel, written; present if the target is fresh.
    pub new_running_var: Option<wgpu::BufferBinding<'a>>,
    /// [`RunningCounters`](crate::RunningCounters) per channel, updated; present if
    /// [`RunningStatistics::needs_counters`].
    pub counters: Option<wgpu::BufferBinding<'a>>,
}

impl<'a> RunningUpdateBuffers<'a> {
    /// What there always is, and nothing else: the rest is added as in
    /// `RunningUpdateBuffers { counters, ..RunningUpdateBuffers::new(..) }`, which stays right when options are added.
    pub fn new(
        saved: wgpu::BufferBinding<'a>,
        running_mean: wgpu::BufferBinding<'a>,
        running_var: wgpu::BufferBinding<'a>,
    ) -> Self {
        Self {
            saved,
            running_mean,
            running_var,
            new_running_mean: None,
            new_running_var: None,
            counters: None,
        }
    }

    fn given(&self) -> [(Role, Option<wgpu::BufferBinding<'a>>); 6] {
        [
            (Role::Saved, Some(self.saved.clone())),
            (Role::RunningMean, Some(self.running_mean.clone())),
            (Role::RunningVar, Some(self.running_var.clone())),
            (Role::NewRunningMean, self.new_running_mean.clone()),
            (Role::NewRunningVar, self.new_running_var.clone()),
            (Role::Counters, self.counters.clone()),
        ]
    }
}

impl RunningUpdate {
    /// Plans and compiles. The shape is that of the batch: the unbiased variance depends on the number of values.
    ///
    /// # Errors
    /// As [`Plan::running_update`].
    pub fn new(context: &Context, shape: &Shape, running: RunningStatistics) -> Result<Self, Error> {
        Self::from_plan(context, Plan::running_update(shape, running, context.caps())?)
    }
}

operation!(RunningUpdate, RunningUpdateBuffers, "running_update");
