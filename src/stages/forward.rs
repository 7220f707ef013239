//! Moments of a part, statistics of the whole, output of a part.

use crate::encode::Prepared;
use crate::error::Error;
use crate::operation::operation;
use crate::options::Affine;
use crate::pipeline::Context;
use crate::plan::Plan;
use crate::role::Role;
use crate::running::RunningStatistics;
use crate::statistics::Gathered;
use crate::tensor::Shape;

/// Count, mean and M2 of each channel of one part of a batch (algorithm 1, lines 1 and 2).
///
/// One value per channel is enough here, and none gives a count of 0: what matters is the whole batch.
///
/// ```no_run
/// use wgpu_batchnorm::{BatchMoments, BatchMomentsBuffers, Context, Dtype, Shape};
///
/// # fn f(device: &wgpu::Device, encoder: &mut wgpu::CommandEncoder, x: &wgpu::Buffer, moments: &wgpu::Buffer,
/// #      workspace: &wgpu::Buffer) -> Result<(), wgpu_batchnorm::Error> {
/// let shape = Shape::new(&[16, 64, 28, 28], 1, Dtype::F32)?;
/// let stage = BatchMoments::new(&Context::new(device), &shape)?;
/// stage.encode(encoder, &BatchMomentsBuffers {
///     x: x.as_entire_buffer_binding(),
///     moments: moments.as_entire_buffer_binding(),
///     workspace: workspace.as_entire_buffer_binding(),
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct BatchMoments {
    prepared: Prepared,
}

/// The buffers of [`BatchMoments`], with its example; the rules are those of [`TrainingBuffers`](crate::TrainingBuffers).
#[derive(Clone, Debug)]
pub struct BatchMomentsBuffers<'a> {
    /// Input tensor, read.
    pub x: wgpu::BufferBinding<'a>,
    /// [`Moments`](crate::Moments) per channel, written.
    pub moments: wgpu::BufferBinding<'a>,
    /// Scratch memory of [`BatchMoments::workspace_size`] bytes.
    pub workspace: wgpu::BufferBinding<'a>,
}

impl<'a> BatchMomentsBuffers<'a> {
    fn given(&self) -> [(Role, Option<wgpu::BufferBinding<'a>>); 3] {
        [
            (Role::X, Some(self.x.clone())),
            (Role::Moments, Some(self.moments.clone())),
            (Role::Workspace, Some(self.workspace.clone())),
        ]
    }
}

impl BatchMoments {
    /// Plans and compiles.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn new(context: &Context, shape: &Shape) -> Result<Self, Error> {
        let plan = Plan::batch_moments(shape, context.caps())?;
        Self::from_plan(context, plan)
    }
}

operation!(BatchMoments, BatchMomentsBuffers, "batch_moments", workspace);

/// Merges the moments of several parts of a batch in their order, by the formula of Chan, Golub and LeVeque (1979),
/// saves the statistics of the whole, and updates the running ones, if any are kept.
///
/// Parts with a count of 0 do not matter. The counts add up to less than 2^32. `eps` is at least `f32::MIN_POSITIVE`. Where
/// the total count is 0, or 1 with the unbiased running variance, the running statistics stay as they are. Those with
/// counters or fresh buffers are refused: describe the merge without, and let a [`RunningUpdate`](crate::RunningUpdate)
/// follow, of the shape of the whole batch.
///
/// ```no_run
/// use wgpu_batchnorm::{Context, Gathered, MergeMoments, MergeMomentsBuffers};
///
/// # fn f(device: &wgpu::Device, encoder: &mut wgpu::CommandEncoder, gathered: &wgpu::Buffer,
/// #      saved: &wgpu::Buffer) -> Result<(), wgpu_batchnorm::Error> {
/// let parts = Gathered { sets: 4, channels: 64 };
/// let stage = MergeMoments::new(&Context::new(device), parts, 1e-5, None)?;
/// let whole = wgpu::Buffer::as_entire_buffer_binding;
/// stage.encode(encoder, &MergeMomentsBuffers::new(whole(gathered), whole(saved)))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MergeMoments {
    prepared: Prepared,
}

/// The buffers of [`MergeMoments`], with its example; the rules are those of [`TrainingBuffers`](crate::TrainingBuffers).
#[derive(Clone, Debug)]
pub struct MergeMomentsBuffers<'a> {
    /// [`Moments`](crate::Moments), `[sets, channels]`, read.
    pub partial_moments: wgpu::BufferBinding<'a>,
    /// [`SavedStatistics`](crate::SavedStatistics) per channel, written.
    pub saved: wgpu::BufferBinding<'a>,
    /// Running mean, f32 per channel, updated; present if running statistics are kept.
    pub running_mean: Option<wgpu::BufferBinding<'a>>,
    /// Running variance, f32 per channel, updated; present if running statistics are kept.
    pub running_var: Option<wgpu::BufferBinding<'a>>,
}

impl<'a> MergeMomentsBuffers<'a> {
    /// What there always is, and nothing else: the rest is added as in
    /// `MergeMomentsBuffers { running_mean, running_var, ..MergeMomentsBuffers::new(..) }`, which stays right when options are added.
    pub fn new(partial_moments: wgpu::BufferBinding<'a>, saved: wgpu::BufferBinding<'a>) -> Self {
        Self { partial_moments, saved, running_mean: None, running_var: None }
    }

    fn given(&self) -> [(Role, Option<wgpu::BufferBinding<'a>>); 4] {
        [
            (Role::PartialMoments, Some(self.partial_moments.clone())),
            (Role::Saved, Some(self.saved.clone())),
            (Role::RunningMean, self.running_mean.clone()),
            (Role::RunningVar, self.running_var.clone()),
        ]
    }
}

impl MergeMoments {
    /// Plans and compiles the merge of all parts.
    ///
    /// # Errors
    /// [`Error::NoChannels`], [`Error::Sets`], [`Error::Eps`], [`Error::Momentum`], [`Error::Limit`], and
    /// [`Error::Running`] for running statistics with counters or fresh buffers.
    pub fn new(
        context: &Context,
        gathered: Gathered,
        eps: f32,
        running: Option<RunningStatistics>,
    ) -> Result<Self, Error> {
        let plan = Plan::merge_moments(gathered, eps, running, context.caps())?;
        Self::from_plan(context, plan)
    }
}

operation!(MergeMoments, MergeMomentsBuffers, "merge_moments");

/// Normalizes by given statistics (algorithm 1, lines 3 and 4): `y = (x - mean) * invstd * gamma + beta`. It ends there:
/// a residual and an activation are the caller's, and so is the way of dy through them.
///
/// ```no_run
/// use wgpu_batchnorm::{Affine, Context, Dtype, Normalize, NormalizeBuffers, Shape};
///
/// # fn f(device: &wgpu::Device, encoder: &mut wgpu::CommandEncoder, x: &wgpu::Buffer, y: &wgpu::Buffer,
/// #      saved: &wgpu::Buffer) -> Result<(), wgpu_batchnorm::Error> {
/// let shape = Shape::new(&[16, 64, 28, 28], 1, Dtype::F32)?;
/// let stage = Normalize::new(&Context::new(device), &shape, Affine::None)?;
/// let whole = wgpu::Buffer::as_entire_buffer_binding;
/// stage.encode(encoder, &NormalizeBuffers::new(whole(x), whole(y), whole(saved)))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Normalize {
    prepared: Prepared,
}

/// The buffers of [`Normalize`], with its example; the rules are those of [`TrainingBuffers`](crate::TrainingBuffers).
#[derive(Clone, Debug)]
pub struct NormalizeBuffers<'a> {
    /// Input tensor, read.
    pub x: wgpu::BufferBinding<'a>,
    /// Output tensor of the same shape and storage type, written.
    pub y: wgpu::BufferBinding<'a>,
    /// Scale, f32 per channel, read; present if `affine` has it.
    pub gamma: Option<wgpu::BufferBinding<'a>>,
    /// Shift, f32 per channel, read; present if `affine` has it.
    pub beta: Option<wgpu::BufferBinding<'a>>,
    /// [`SavedStatistics`](crate::SavedStatistics) per channel, read.
    pub saved: wgpu::BufferBinding<'a>,
}

impl<'a> NormalizeBuffers<'a> {
    /// What there always is, and nothing else: the rest is added as in
    /// `NormalizeBuffers { gamma, beta, ..NormalizeBuffers::new(..) }`, which stays right when options are added.
    pub fn new(
        x: wgpu::BufferBinding<'a>,
        y: wgpu::BufferBinding<'a>,
        saved: wgpu::BufferBinding<'a>,
    ) -> Self {
        Self { x, y, saved, gamma: None, beta: None }
    }

    fn given(&self) -> [(Role, Option<wgpu::BufferBinding<'a>>); 5] {
        [
            (Role::X, Some(self.x.clone())),
            (Role::Y, Some(self.y.clone())),
            (Role::Gamma, self.gamma.clone()),
            (Role::Beta, self.beta.clone()),
            (Role::Saved, Some(self.saved.clone())),
        ]
    }
}

impl Normalize {
    /// Plans and compiles.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn new(context: &Context, shape: &Shape, affine: Affine) -> Result<Self, Error> {
        let plan = Plan::normalize(shape, affine, context.caps())?;
        Self::from_plan(context, plan)
    }
}

operation!(Normalize, NormalizeBuffers, "normalize");
