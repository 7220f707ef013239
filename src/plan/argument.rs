//! The buffers that a plan asks the caller for.

use super::upstream::Upstream;
use crate::options::{Affine, Residual, TrainingOptions};
use crate::role::Role;
use crate::running::{RunningCounters, RunningStatistics, RunningTarget};
use crate::statistics::{GradientSums, Moments, SavedStatistics};
use crate::tensor::{Dtype, Shape};

/// What an operation does with a buffer.
///
/// ```
/// use wgpu_batchnorm::Access;
///
/// assert!(Access::ReadWrite.writes() && !Access::Read.writes());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// It is read and keeps its content.
    Read,
    /// All of it is written.
    Write,
    /// It is read and updated.
    ReadWrite,
}

impl Access {
    /// Whether the content changes.
    pub const fn writes(self) -> bool {
        !matches!(self, Self::Read)
    }
}

/// A buffer that the caller has to give.
///
/// ```
/// use wgpu_batchnorm::{Access, Caps, Dtype, Plan, Role, Shape, TrainingOptions};
///
/// let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F16)?;
/// let plan = Plan::training(&shape, &TrainingOptions::default(), &Caps::WEBGPU)?;
/// let y = plan.arguments().iter().find(|argument| argument.role == Role::Y).unwrap();
/// assert_eq!((y.access, y.bytes), (Access::Write, 32 * 64 * 28 * 28 * 2));
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// What it is for.
    pub role: Role,
    /// What is done with it.
    pub access: Access,
    /// Number of elements.
    pub elements: u64,
    /// What an element is, for messages.
    pub element: &'static str,
    /// Bytes that it needs, a multiple of 4. With 0 nothing is read or written, and it is not looked at.
    pub bytes: u64,
}

/// Where an operation takes a workspace it takes one of some bytes, so that there is a buffer to give.
const LEAST_WORKSPACE: u64 = 4;

/// A tensor that the caller gives.
pub(super) fn tensor(role: Role, access: Access, shape: &Shape) -> Argument {
    let element = match shape.dtype() {
        Dtype::F32 => "values of 4 bytes",
        Dtype::F16 => "values of 2 bytes, in whole words",
    };
    Argument { role, access, elements: shape.len(), element, bytes: shape.size_in_bytes() }
}

/// One record per channel, or per set and channel, that the caller gives.
pub(super) fn per_channel(role: Role, access: Access, elements: u64) -> Argument {
    let (size, element) = match role {
        Role::Saved => (SavedStatistics::SIZE, "channels of 16 bytes"),
        Role::Moments => (Moments::SIZE, "channels of 16 bytes"),
        Role::PartialMoments => (Moments::SIZE, "sets times channels of 16 bytes"),
        Role::Sums => (GradientSums::SIZE, "channels of 12 bytes"),
        Role::PartialSums => (GradientSums::SIZE, "sets times channels of 12 bytes"),
        Role::Counters => (RunningCounters::SIZE, "channels of 8 bytes"),
        _ => (4, "channels of 4 bytes"),
    };
    Argument { role, access, elements, element, bytes: elements * size }
}

/// Scratch memory that the caller gives.
pub(super) fn workspace(bytes: u64) -> Argument {
    Argument { role: Role::Workspace, access: Access::Write, elements: bytes, element: "bytes", bytes }
}

/// Gamma and beta, where there are any.
pub(super) fn affine(affine: Affine, channels: u64) -> impl Iterator<Item = Argument> {
    let gamma = affine.has_gamma().then(|| per_channel(Role::Gamma, Access::Read, channels));
    let beta = affine.has_beta().then(|| per_channel(Role::Beta, Access::Read, channels));
    gamma.into_iter().chain(beta)
}

/// What a training forward pass asks for, whatever the strategy.
pub(super) fn of_training(shape: &Shape, options: &TrainingOptions, workspace_bytes: u64) -> Vec<Argument> {
    let channels = shape.channels().into();
    let mut arguments = vec![
        tensor(Role::X, Access::Read, shape),
        tensor(Role::Y, Access::Write, shape),
        per_channel(Role::Saved, Access::Write, channels),
        workspace(workspace_bytes.max(LEAST_WORKSPACE)),
    ];
    arguments.extend(affine(options.affine, channels));
    arguments.extend(residual(options.residual, shape));
    arguments.extend(options.running.into_iter().flat_map(|options| running(options, channels)));
    arguments
}

/// The residual, where there is one.
pub(super) fn residual(residual: Residual, shape: &Shape) -> Option<Argument> {
    (residual == Residual::Added).then(|| tensor(Role::Residual, Access::Read, shape))
}

/// Running statistics that are updated.
pub(super) fn running(options: RunningStatistics, channels: u64) -> Vec<Argument> {
    let (mean, var) = (Role::RunningMean, Role::RunningVar);
    let all: &[(Role, Access)] = match options.target {
        RunningTarget::InPlace => &[(mean, Access::ReadWrite), (var, Access::ReadWrite)],
        RunningTarget::Fresh => &[
            (mean, Access::Read),
            (var, Access::Read),
            (Role::NewRunningMean, Access::Write),
            (Role::NewRunningVar, Access::Write),
        ],
    };
    let counters = options.needs_counters().then_some((Role::Counters, Access::ReadWrite));
    let all = all.iter().copied().chain(counters);
    all.map(|(role, access)| per_channel(role, access, channels)).collect()
}

/// What a training backward pass asks for, whatever the strategy.
pub(super) fn of_backward(shape: &Shape, upstream: &Upstream, workspace_bytes: u64) -> Vec<Argument> {
    let mut arguments = vec![
        tensor(Role::X, Access::Read, shape),
        tensor(Role::Dy, Access::Read, shape),
        per_channel(Role::Saved, Access::Read, shape.channels().into()),
        workspace(workspace_bytes.max(LEAST_WORKSPACE)),
    ];
    arguments.extend(upstream.arguments(shape));
    arguments
}

/// What the stage asks for that takes the moments of a tensor.
pub(super) fn of_batch_moments(shape: &Shape, workspace_bytes: u64) -> Vec<Argument> {
    vec![
        tensor(Role::X, Access::Read, shape),
        per_channel(Role::Moments, Access::Write, shape.channels().into()),
        workspace(workspace_bytes),
    ]
}

/// What the stage asks for that takes the gradient sums of a tensor.
pub(super) fn of_batch_gradient_sums(shape: &Shape, workspace_bytes: u64) -> Vec<Argument> {
    let channels = shape.channels().into();
    vec![
        tensor(Role::X, Access::Read, shape),
        tensor(Role::Dy, Access::Read, shape),
        per_channel(Role::Saved, Access::Read, channels),
        per_channel(Role::Sums, Access::Write, channels),
        workspace(workspace_bytes),
    ]
}
