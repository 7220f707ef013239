//! The decision: which kernels run over which grid, as pure data. No device is needed to make a plan.

mod flat;
mod merge;
mod policy;
mod split;
mod tiling;

use crate::caps::Caps;
use crate::error::Error;
use crate::kernel::{Kernel, Params};
use crate::options::{
    Affine, BackwardOptions, Gradients, InferenceOptions, RunningStatistics, TrainingOptions,
    check_inference_eps, check_training_eps,
};
use crate::role::Role;
use crate::tensor::Shape;

pub use policy::MAX_SETS;

/// How the work of a reduction is shared out.
///
/// ```
/// use wgpu_batchnorm::{Caps, Plan, Shape, Strategy, TrainingOptions, Dtype};
///
/// let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
/// for strategy in Strategy::ALL {
///     let plan = Plan::training_by(strategy, &shape, &TrainingOptions::default(), &Caps::WEBGPU)?;
///     assert_eq!(plan.strategy(), Some(strategy));
/// }
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Each channel is split over workgroups whose partial results a second launch merges; a third one walks the
    /// tensor. Takes every shape.
    Split,
}

impl Strategy {
    /// All strategies: what tests and benchmarks walk.
    pub const ALL: [Self; 1] = [Self::Split];
}

impl std::fmt::Display for Strategy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Split => "split",
        })
    }
}

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

/// Where the buffer of a kernel's binding comes from.
///
/// ```
/// use wgpu_batchnorm::{Caps, Dtype, Place, Plan, Role, Shape, TrainingOptions};
///
/// let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
/// let plan = Plan::training(&shape, &TrainingOptions::default(), &Caps::WEBGPU)?;
/// let moments = &plan.launches()[0];
/// assert_eq!(moments.place(Role::X), Place::Argument(Role::X));
/// assert_eq!(moments.place(Role::PartialMoments), Place::Workspace { offset: 0, bytes: 13 * 64 * 16 });
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is the caller's buffer for that role.
    Argument(Role),
    /// It is part of the workspace.
    Workspace {
        /// First byte, a multiple of the device's alignment.
        offset: u64,
        /// Bytes.
        bytes: u64,
    },
}

/// One dispatch. With [`Kernel::wgsl`] and [`Kernel::bindings`] it is all that a host needs that compiles and
/// dispatches by itself.
///
/// ```
/// use wgpu_batchnorm::{Caps, Dtype, InferenceOptions, Plan, Shape};
///
/// let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
/// let plan = Plan::inference(&shape, &InferenceOptions::default(), &Caps::WEBGPU)?;
/// let launch = &plan.launches()[0];
/// assert_eq!((launch.kernel.name(), launch.grid), ("infer_apply", [1568, 1]));
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// What runs.
    pub kernel: Kernel,
    /// Over how many workgroups; the third dimension is 1.
    pub grid: [u32; 2],
    /// With which numbers.
    pub params: Params,
    /// Bindings whose buffer is not simply the caller's one of the same role.
    pub places: Vec<(Role, Place)>,
}

impl Launch {
    /// Where the buffer for a binding comes from.
    pub fn place(&self, role: Role) -> Place {
        let found = self.places.iter().find(|(placed, _)| *placed == role);
        found.map_or(Place::Argument(role), |(_, place)| *place)
    }
}

/// The decision how to carry out one operation on one shape: pure, comparable, printable and complete.
///
/// ```
/// use wgpu_batchnorm::{Caps, Dtype, Plan, Shape, TrainingOptions};
///
/// let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
/// let plan = Plan::training(&shape, &TrainingOptions::default(), &Caps::WEBGPU)?;
/// assert_eq!(
///     plan.to_string(),
///     "training 32x64x784 f32: split in 13, train_moments 832 @256, train_merge 16 @64, train_apply 1568 @256; \
///      3 passes, workspace 13312 B"
/// );
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    operation: &'static str,
    subject: String,
    strategy: Option<Strategy>,
    launches: Vec<Launch>,
    arguments: Vec<Argument>,
    workspace: u64,
    passes: u32,
}

impl Plan {
    /// Inference (algorithm 2, line 12).
    ///
    /// # Errors
    /// [`Error::Eps`] and [`Error::Limit`].
    pub fn inference(shape: &Shape, options: &InferenceOptions, caps: &Caps) -> Result<Self, Error> {
        check_inference_eps(options.eps)?;
        flat::inference(shape, options, caps)
    }

    /// Training forward (algorithm 1), by the strategy that the policy picks.
    ///
    /// # Errors
    /// [`Error::Eps`], [`Error::Momentum`], [`Error::TooFewValues`] and [`Error::Limit`].
    pub fn training(shape: &Shape, options: &TrainingOptions, caps: &Caps) -> Result<Self, Error> {
        Self::training_by(policy::training(shape, caps), shape, options, caps)
    }

    /// Training forward, by the strategy given: it is taken or refused, never replaced.
    ///
    /// # Errors
    /// As [`Plan::training`].
    pub fn training_by(
        strategy: Strategy,
        shape: &Shape,
        options: &TrainingOptions,
        caps: &Caps,
    ) -> Result<Self, Error> {
        check_training_eps(options.eps)?;
        options.running.map_or(Ok(()), |running| running.check())?;
        check_values(shape)?;
        match strategy {
            Strategy::Split => split::training(shape, options, caps),
        }
    }

    /// Training backward (section 3 of the paper), by the strategy that the policy picks.
    ///
    /// # Errors
    /// [`Error::NoGradients`], [`Error::TooFewValues`] and [`Error::Limit`].
    pub fn backward(shape: &Shape, options: &BackwardOptions, caps: &Caps) -> Result<Self, Error> {
        Self::backward_by(policy::backward(shape, caps), shape, options, caps)
    }

    /// Training backward, by the strategy given: it is taken or refused, never replaced.
    ///
    /// # Errors
    /// As [`Plan::backward`].
    pub fn backward_by(
        strategy: Strategy,
        shape: &Shape,
        options: &BackwardOptions,
        caps: &Caps,
    ) -> Result<Self, Error> {
        let gradients = options.gradients;
        if !(gradients.dx || gradients.dgamma || gradients.dbeta) {
            return Err(Error::NoGradients);
        }
        check_values(shape)?;
        match strategy {
            Strategy::Split => split::backward(shape, options, caps),
        }
    }

    /// [`BatchMoments`](crate::BatchMoments).
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn batch_moments(shape: &Shape, caps: &Caps) -> Result<Self, Error> {
        split::batch_moments(shape, caps)
    }

    /// [`MergeMoments`](crate::MergeMoments) of `sets` parts of `channels` channels each.
    ///
    /// # Errors
    /// [`Error::NoChannels`], [`Error::Sets`], [`Error::Eps`], [`Error::Momentum`] and [`Error::Limit`].
    pub fn merge_moments(
        channels: u32,
        sets: u32,
        eps: f32,
        running: Option<RunningStatistics>,
        caps: &Caps,
    ) -> Result<Self, Error> {
        check_training_eps(eps)?;
        running.map_or(Ok(()), |running| running.check())?;
        merge::moments(channels, sets, eps, running, caps)
    }

    /// [`Normalize`](crate::Normalize).
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn normalize(shape: &Shape, affine: Affine, caps: &Caps) -> Result<Self, Error> {
        flat::normalize(shape, affine, caps)
    }

    /// [`BatchGradientSums`](crate::BatchGradientSums).
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn batch_gradient_sums(shape: &Shape, caps: &Caps) -> Result<Self, Error> {
        split::batch_gradient_sums(shape, caps)
    }

    /// [`MergeGradientSums`](crate::MergeGradientSums) of `sets` parts of `channels` channels each.
    ///
    /// # Errors
    /// [`Error::NoChannels`], [`Error::Sets`] and [`Error::Limit`].
    pub fn merge_gradient_sums(
        channels: u32,
        sets: u32,
        gradients: Gradients,
        caps: &Caps,
    ) -> Result<Self, Error> {
        merge::gradient_sums(channels, sets, gradients, caps)
    }

    /// [`InputGradient`](crate::InputGradient).
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn input_gradient(shape: &Shape, affine: Affine, caps: &Caps) -> Result<Self, Error> {
        flat::input_gradient(shape, affine, caps)
    }

    /// The strategy of its reduction, if it has one.
    pub fn strategy(&self) -> Option<Strategy> {
        self.strategy
    }

    /// The dispatches, in order.
    pub fn launches(&self) -> &[Launch] {
        &self.launches
    }

    /// The buffers that the caller gives.
    pub fn arguments(&self) -> &[Argument] {
        &self.arguments
    }

    /// Bytes of scratch memory that the operation needs, never 0, so that a buffer of that size can be bound.
    pub fn workspace_size(&self) -> u64 {
        self.workspace
    }

    /// How often memory of the size of the whole tensor is read or written.
    pub fn passes(&self) -> u32 {
        self.passes
    }

    /// Bytes of tensor that the operation moves between memory and the processor, counting each pass in full.
    pub fn tensor_traffic(&self) -> u64 {
        let tensor = self.arguments.iter().find(|argument| argument.role == Role::X);
        tensor.map_or(0, |x| x.bytes * u64::from(self.passes))
    }

    /// The operation it is of, as in `training`.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// Refuses a plan of another operation, or one made for a device that can do more.
    pub(crate) fn check_for(&self, operation: &'static str, caps: &Caps) -> Result<(), Error> {
        if self.operation != operation {
            return Err(Error::Plan { got: self.operation, needs: operation });
        }
        self.check_limits(caps)?;
        let alignment = u64::from(caps.offset_alignment.max(1));
        for launch in &self.launches {
            let needs = u64::from(launch.grid[0].max(launch.grid[1]));
            let (limit, got) = ("max_compute_workgroups_per_dimension", u64::from(caps.max_workgroups));
            if needs > got {
                return Err(Error::Limit { argument: launch.kernel.name, limit, got, needs });
            }
            for (role, place) in &launch.places {
                match place {
                    Place::Workspace { offset, .. } if offset % alignment != 0 => {
                        return Err(Error::Misaligned {
                            argument: role.name(),
                            got: *offset,
                            needs: alignment,
                        });
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    pub(crate) fn set_momentum(&mut self, momentum: f32) {
        for launch in &mut self.launches {
            launch.params.momentum = momentum;
        }
    }

    fn checked(self, caps: &Caps) -> Result<Self, Error> {
        self.check_limits(caps)?;
        Ok(self)
    }

    /// Refuses what the device's limits do not allow.
    fn check_limits(&self, caps: &Caps) -> Result<(), Error> {
        let regions = self.launches.iter().flat_map(|launch| {
            launch.places.iter().filter_map(|(role, place)| match place {
                Place::Workspace { bytes, .. } => Some((role.name(), *bytes)),
                Place::Argument(_) => None,
            })
        });
        let arguments = self.arguments.iter().filter(|argument| argument.role != Role::Workspace);
        for (argument, needs) in regions.chain(arguments.map(|a| (a.role.name(), a.bytes))) {
            if needs > caps.max_binding_size {
                let (limit, got) = ("max_storage_buffer_binding_size", caps.max_binding_size);
                return Err(Error::Limit { argument, limit, got, needs });
            }
        }
        Ok(())
    }
}

/// The plan in one line.
impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: ", self.operation, self.subject)?;
        if self.launches.is_empty() {
            return f.write_str("nothing to do");
        }
        if let Some(strategy) = self.strategy {
            let sets = self.launches.iter().map(|launch| launch.params.sets).max().unwrap_or(0);
            write!(f, "{strategy} in {sets}, ")?;
        }
        for (i, launch) in self.launches.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            let (kernel, params) = (&launch.kernel, &launch.params);
            write!(f, "{separator}{} {} @{}", kernel.name, params.workgroups, kernel.tuning.workgroup)?;
        }
        write!(f, "; {} passes, workspace {} B", self.passes, self.workspace)
    }
}

/// An empty batch is no error: it changes nothing.
fn check_values(shape: &Shape) -> Result<(), Error> {
    let got = shape.values_per_channel();
    if got == 1 {
        return Err(Error::TooFewValues { got: 1, shape: shape.to_string() });
    }
    Ok(())
}

/// A tensor that the caller gives.
fn tensor(role: Role, access: Access, shape: &Shape) -> Argument {
    let element = match shape.dtype() {
        crate::tensor::Dtype::F32 => "values of 4 bytes",
        crate::tensor::Dtype::F16 => "values of 2 bytes, in whole words",
    };
    Argument { role, access, elements: shape.len().into(), element, bytes: shape.size_in_bytes() }
}

/// One record per channel, or per set and channel, that the caller gives.
fn per_channel(role: Role, access: Access, elements: u64) -> Argument {
    let (size, element) = match role {
        Role::Saved => (crate::statistics::SavedStatistics::SIZE, "channels of 16 bytes"),
        Role::Moments => (crate::statistics::Moments::SIZE, "channels of 16 bytes"),
        Role::PartialMoments => (crate::statistics::Moments::SIZE, "sets times channels of 16 bytes"),
        Role::Sums => (crate::statistics::GradientSums::SIZE, "channels of 12 bytes"),
        Role::PartialSums => (crate::statistics::GradientSums::SIZE, "sets times channels of 12 bytes"),
        _ => (4, "channels of 4 bytes"),
    };
    Argument { role, access, elements, element, bytes: elements * size }
}

/// Scratch memory that the caller gives.
fn workspace(bytes: u64) -> Argument {
    Argument { role: Role::Workspace, access: Access::Write, elements: bytes, element: "bytes", bytes }
}
