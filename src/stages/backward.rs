//! Gradient sums of a part, of the whole, input gradient of a part.

use crate::encode::Prepared;
use crate::error::Error;
use crate::operation::operation;
use crate::options::{Affine, Gradients};
use crate::pipeline::Context;
use crate::plan::Plan;
use crate::role::Role;
use crate::statistics::Gathered;
use crate::tensor::Shape;

/// The sums over one part of a batch that the gradients are made of: of dy and of dy * (x - mean), by the statistics
/// of the whole batch.
///
/// ```no_run
/// use wgpu_batchnorm::{Context, Dtype, BatchGradientSums, BatchGradientSumsBuffers, Shape};
///
/// # fn f(device: &wgpu::Device, encoder: &mut wgpu::CommandEncoder, x: &wgpu::Buffer, dy: &wgpu::Buffer,
/// #      saved: &wgpu::Buffer, sums: &wgpu::Buffer, workspace: &wgpu::Buffer) -> Result<(), wgpu_batchnorm::Error> {
/// let shape = Shape::new(&[16, 64, 28, 28], 1, Dtype::F32)?;
/// let stage = BatchGradientSums::new(&Context::new(device), &shape)?;
/// stage.encode(encoder, &BatchGradientSumsBuffers {
///     x: x.as_entire_buffer_binding(),
///     dy: dy.as_entire_buffer_binding(),
///     saved: saved.as_entire_buffer_binding(),
///     sums: sums.as_entire_buffer_binding(),
///     workspace: workspace.as_entire_buffer_binding(),
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct BatchGradientSums {
    prepared: Prepared,
}

/// The buffers of [`BatchGradientSums`], with its example; the rules are those of [`TrainingBuffers`](crate::TrainingBuffers).
#[derive(Clone, Debug)]
pub struct BatchGradientSumsBuffers<'a> {
    /// Input tensor of the forward pass, read.
    pub x: wgpu::BufferBinding<'a>,
    /// Gradient of the loss by y, of the same shape and storage type, read.
    pub dy: wgpu::BufferBinding<'a>,
    /// [`SavedStatistics`](crate::SavedStatistics) per channel, of the whole batch, read.
    pub saved: wgpu::BufferBinding<'a>,
    /// [`GradientSums`](crate::GradientSums) per channel, written.
    pub sums: wgpu::BufferBinding<'a>,
    /// Scratch memory of [`BatchGradientSums::workspace_size`] bytes.
    pub workspace: wgpu::BufferBinding<'a>,
}

impl<'a> BatchGradientSumsBuffers<'a> {
    fn given(&self) -> [(Role, Option<wgpu::BufferBinding<'a>>); 5] {
        [
            (Role::X, Some(self.x.clone())),
            (Role::Dy, Some(self.dy.clone())),
            (Role::Saved, Some(self.saved.clone())),
            (Role::Sums, Some(self.sums.clone())),
            (Role::Workspace, Some(self.workspace.clone())),
        ]
    }
}

impl BatchGradientSums {
    /// Plans and compiles.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn new(context: &Context, shape: &Shape) -> Result<Self, Error> {
        let plan = Plan::batch_gradient_sums(shape, context.caps())?;
        Self::from_plan(context, plan)
    }
}

operation!(BatchGradientSums, BatchGradientSumsBuffers, "batch_gradient_sums", workspace);

/// Adds up the gradient sums of several parts of a batch in their order, and makes the gradients of gamma and beta of
/// the whole batch from them, as far as asked for.
///
/// ```no_run
/// use wgpu_batchnorm::{Context, Gathered, Gradients, MergeGradientSums, MergeGradientSumsBuffers};
///
/// # fn f(device: &wgpu::Device, encoder: &mut wgpu::CommandEncoder, gathered: &wgpu::Buffer, saved: &wgpu::Buffer,
/// #      sums: &wgpu::Buffer, dgamma: &wgpu::Buffer, dbeta: &wgpu::Buffer) -> Result<(), wgpu_batchnorm::Error> {
/// let parts = Gathered { sets: 4, channels: 64 };
/// let stage = MergeGradientSums::new(&Context::new(device), parts, Gradients::default())?;
/// stage.encode(encoder, &MergeGradientSumsBuffers {
///     partial_sums: gathered.as_entire_buffer_binding(),
///     saved: saved.as_entire_buffer_binding(),
///     sums: sums.as_entire_buffer_binding(),
///     dgamma: Some(dgamma.as_entire_buffer_binding()),
///     dbeta: Some(dbeta.as_entire_buffer_binding()),
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MergeGradientSums {
    prepared: Prepared,
}

/// The buffers of [`MergeGradientSums`], with its example; the rules are those of [`TrainingBuffers`](crate::TrainingBuffers).
#[derive(Clone, Debug)]
pub struct MergeGradientSumsBuffers<'a> {
    /// [`GradientSums`](crate::GradientSums), `[sets, channels]`, read.
    pub partial_sums: wgpu::BufferBinding<'a>,
    /// [`SavedStatistics`](crate::SavedStatistics) per channel, of the whole batch, read.
    pub saved: wgpu::BufferBinding<'a>,
    /// [`GradientSums`](crate::GradientSums) per channel of the whole batch, written.
    pub sums: wgpu::BufferBinding<'a>,
    /// Gradient of the loss by gamma, f32 per channel, written; present if asked for.
    pub dgamma: Option<wgpu::BufferBinding<'a>>,
    /// Gradient of the loss by beta, f32 per channel, written; present if asked for.
    pub dbeta: Option<wgpu::BufferBinding<'a>>,
}

impl<'a> MergeGradientSumsBuffers<'a> {
    /// What there always is, and nothing else: the rest is added as in
    /// `MergeGradientSumsBuffers { dgamma, dbeta, ..MergeGradientSumsBuffers::new(..) }`, which stays right when options are added.
    pub fn new(
        partial_sums: wgpu::BufferBinding<'a>,
        saved: wgpu::BufferBinding<'a>,
        sums: wgpu::BufferBinding<'a>,
    ) -> Self {
        Self { partial_sums, saved, sums, dgamma: None, dbeta: None }
    }

    fn given(&self) -> [(Role, Option<wgpu::BufferBinding<'a>>); 5] {
        [
            (Role::PartialSums, Some(self.partial_sums.clone())),
            (Role::Saved, Some(self.saved.clone())),
            (Role::Sums, Some(self.sums.clone())),
            (Role::Dgamma, self.dgamma.clone()),
            (Role::Dbeta, self.dbeta.clone()),
        ]
    }
}

impl MergeGradientSums {
    /// Plans and compiles the merge of all parts. The sums are always written;
    /// `gradients.dx` says nothing here.
    ///
    /// # Errors
    /// [`Error::NoChannels`], [`Error::Sets`] and [`Error::Limit`].
    pub fn new(context: &Context, gathered: Gathered, gradients: Gradients) -> Result<Self, Error> {
        let plan = Plan::merge_gradient_sums(gathered, gradients, context.caps())?;
        Self::from_plan(context, plan)
    }
}

operation!(MergeGradientSums, MergeGradientSumsBuffers, "merge_gradient_sums");

/// The gradient by x of one part of a batch, by the statistics and sums of the whole:
/// `dx = gamma * invstd * (dy - mean(dy) - (x - mean) * invstd^2 * mean(dy * (x - mean)))`, the means being the sums
/// divided by their count.
///
/// ```no_run
/// use wgpu_batchnorm::{Affine, Context, Dtype, InputGradient, InputGradientBuffers, Shape};
///
/// # fn f(device: &wgpu::Device, encoder: &mut wgpu::CommandEncoder, x: &wgpu::Buffer, dy: &wgpu::Buffer,
/// #      saved: &wgpu::Buffer, sums: &wgpu::Buffer, dx: &wgpu::Buffer) -> Result<(), wgpu_batchnorm::Error> {
/// let shape = Shape::new(&[16, 64, 28, 28], 1, Dtype::F32)?;
/// let stage = InputGradient::new(&Context::new(device), &shape, Affine::None)?;
/// stage.encode(encoder, &InputGradientBuffers {
///     x: x.as_entire_buffer_binding(),
///     dy: dy.as_entire_buffer_binding(),
///     dx: dx.as_entire_buffer_binding(),
///     gamma: None,
///     saved: saved.as_entire_buffer_binding(),
///     sums: sums.as_entire_buffer_binding(),
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct InputGradient {
    prepared: Prepared,
}

/// The buffers of [`InputGradient`], with its example; the rules are those of [`TrainingBuffers`](crate::TrainingBuffers).
#[derive(Clone, Debug)]
pub struct InputGradientBuffers<'a> {
    /// Input tensor of the forward pass, read.
    pub x: wgpu::BufferBinding<'a>,
    /// Gradient of the loss by y, of the same shape and storage type, read.
    pub dy: wgpu::BufferBinding<'a>,
    /// Gradient of the loss by x, of the same shape and storage type, written.
    pub dx: wgpu::BufferBinding<'a>,
    /// Scale, f32 per channel, read; present if `affine` has it.
    pub gamma: Option<wgpu::BufferBinding<'a>>,
    /// [`SavedStatistics`](crate::SavedStatistics) per channel, of the whole batch, read.
    pub saved: wgpu::BufferBinding<'a>,
    /// [`GradientSums`](crate::GradientSums) per channel of the whole batch, read.
    pub sums: wgpu::BufferBinding<'a>,
}

impl<'a> InputGradientBuffers<'a> {
    /// What there always is, and nothing else: the rest is added as in
    /// `InputGradientBuffers { gamma, ..InputGradientBuffers::new(..) }`, which stays right when options are added.
    pub fn new(
        x: wgpu::BufferBinding<'a>,
        dy: wgpu::BufferBinding<'a>,
        dx: wgpu::BufferBinding<'a>,
        saved: wgpu::BufferBinding<'a>,
        sums: wgpu::BufferBinding<'a>,
    ) -> Self {
        Self { x, dy, dx, saved, sums, gamma: None }
    }

    fn given(&self) -> [(Role, Option<wgpu::BufferBinding<'a>>); 6] {
        [
            (Role::X, Some(self.x.clone())),
            (Role::Dy, Some(self.dy.clone())),
            (Role::Dx, Some(self.dx.clone())),
            (Role::Gamma, self.gamma.clone()),
            (Role::Saved, Some(self.saved.clone())),
            (Role::Sums, Some(self.sums.clone())),
        ]
    }
}

impl InputGradient {
    /// Plans and compiles. Of `affine` only gamma matters.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn new(context: &Context, shape: &Shape, affine: Affine) -> Result<Self, Error> {
        let plan = Plan::input_gradient(shape, affine, context.caps())?;
        Self::from_plan(context, plan)
    }
}

operation!(InputGradient, InputGradientBuffers, "input_gradient");
