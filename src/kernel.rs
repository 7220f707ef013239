//! Which kernel, in which variant, with which numbers: plain data.

use bytemuck::{Pod, Zeroable};

use crate::activation::Activation;
use crate::options::{Affine, Residual};
use crate::running::{Momentum, RunningStatistics, RunningTarget, Update};
use crate::tensor::Dtype;

/// Whether an optional part of a kernel is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Presence {
    /// Its buffer is bound.
    #[default]
    Given,
    /// No buffer is bound; the neutral value or nothing stands in.
    Absent,
}

impl Presence {
    pub(crate) const fn of(given: bool) -> Self {
        if given { Self::Given } else { Self::Absent }
    }
}

/// How many channels a block has, see `shaders/lib/block.wgsl`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Channels {
    /// The kernel has no blocks.
    #[default]
    Unblocked,
    /// One: each lane of each vector is of it.
    One,
    /// Several: which one a lane is of depends on where its vector lies.
    Many,
}

/// How the invocations of a workgroup add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Reduce {
    /// A tree in workgroup memory.
    #[default]
    Tree,
    /// Subgroup operations first.
    Subgroups,
}

/// What a kernel reads of x.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// All of it.
    #[default]
    Read,
    /// Nothing: no result depends on it.
    Unread,
}

/// Where the gradient by z comes from when dx is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Later {
    /// It is computed again.
    #[default]
    Computed,
    /// It was held in place of dy.
    Held,
    /// It was written as the gradient by the residual, by the same invocation.
    Written,
}

/// Which file an activation is; its numbers are parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct ActivationFile(&'static str);

impl ActivationFile {
    pub(crate) fn path(self) -> &'static str {
        if self.0.is_empty() { "activation_identity" } else { self.0 }
    }

    /// Whether it changes anything.
    pub(crate) fn acts(self) -> bool {
        !self.0.is_empty()
    }
}

impl From<Activation> for ActivationFile {
    fn from(activation: Activation) -> Self {
        Self(match activation {
            Activation::Identity => "",
            Activation::Relu => "activation_relu",
            Activation::LeakyRelu { .. } => "activation_leaky_relu",
            Activation::Clamp { .. } => "activation_clamp",
            Activation::Sigmoid => "activation_sigmoid",
            Activation::Tanh => "activation_tanh",
            Activation::Silu => "activation_silu",
            Activation::Gelu => "activation_gelu",
        })
    }
}

/// How running statistics are updated by a launch of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Following {
    /// Which batches are let in.
    pub(crate) update: Update,
    /// Where the result goes.
    pub(crate) target: RunningTarget,
    /// Whether the weight is 1 / n.
    pub(crate) cumulative: bool,
    /// Whether batches are counted.
    pub(crate) counts: bool,
}

impl From<RunningStatistics> for Following {
    fn from(running: RunningStatistics) -> Self {
        let RunningStatistics { momentum, update, target, .. } = running;
        let cumulative = momentum == Momentum::Cumulative;
        Self { update, target, cumulative, counts: running.needs_counters() }
    }
}

/// Which files fill the open places of a kernel. A kernel looks at those that its `// uses:` lines name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Parts {
    /// Storage type of the tensors.
    pub(crate) elements: Dtype,
    /// Scale.
    pub(crate) gamma: Presence,
    /// Shift.
    pub(crate) beta: Presence,
    /// Running statistics.
    pub(crate) running: Presence,
    /// Gradient of gamma.
    pub(crate) dgamma: Presence,
    /// Gradient of beta.
    pub(crate) dbeta: Presence,
    /// Channels in a block.
    pub(crate) channels: Channels,
    /// Sums over a workgroup.
    pub(crate) reduce: Reduce,
    /// What is read of x.
    pub(crate) source: Source,
    /// The function at the end.
    pub(crate) activation: ActivationFile,
    /// Tensor added before it. Where it is not read it is absent, also where the layer has one.
    pub(crate) residual: Presence,
    /// Gradient of the residual.
    pub(crate) dresidual: Presence,
    /// The gradient by z, where it is needed again.
    pub(crate) later: Later,
    /// Sums of gradients, where they are asked for.
    pub(crate) sums: Presence,
    /// dx where it does not wait for the sums.
    pub(crate) frozen_dx: Presence,
    /// Running statistics that are updated by a launch of their own.
    pub(crate) following: Following,
}

impl Parts {
    /// No optional tensor, and no gradient.
    pub(crate) fn new(elements: Dtype) -> Self {
        let [residual, dresidual, frozen_dx] = [Presence::Absent; 3];
        Self { elements, residual, dresidual, frozen_dx, ..Self::default() }
    }

    /// What joins the writing of y.
    pub(crate) fn tail(self, activation: Activation, residual: Residual) -> Self {
        let residual = Presence::of(residual == Residual::Added);
        Self { activation: activation.into(), residual, ..self }
    }

    pub(crate) fn affine(self, affine: Affine) -> Self {
        Self { gamma: Presence::of(affine.has_gamma()), beta: Presence::of(affine.has_beta()), ..self }
    }
}

/// The constants of a kernel that the plan chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tuning {
    /// Invocations in a workgroup, a power of two.
    pub(crate) workgroup: u32,
    /// Neighbouring channels that a workgroup takes side by side, a power of two.
    pub(crate) channel_lanes: u32,
    /// Words or vectors that one invocation has under way together.
    pub(crate) items: u32,
    /// Terms that are summed before they join a longer sum.
    pub(crate) block: u32,
}

/// Whether a buffer may be read and written in the same launch. See [`Kernel::with_sharing`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// What a launch reads and what it writes are different buffers.
    #[default]
    Separate,
    /// Some buffer is read in one place and written in another, as when a host sub-allocates. wgpu tracks usage by
    /// the buffer, so all of its bindings have to be writable.
    Shared,
}

/// Whether a tensor that is read lies where one is written. See [`Kernel::with_overwriting`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Overwriting {
    /// Each has memory of its own.
    #[default]
    Nothing,
    /// y goes over x, and dx over dy: the kernel binds what it writes, and reads it from there.
    Input,
}

/// One kernel in one variant: all that its WGSL follows from.
///
/// ```
/// use wgpu_batchnorm::{Caps, Dtype, InferenceOptions, Plan, Shape};
///
/// let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
/// let plan = Plan::inference(&shape, &InferenceOptions::default(), &Caps::WEBGPU)?;
/// let kernel = plan.launches()[0].kernel;
/// assert_eq!((kernel.name(), kernel.workgroup_size()), ("infer_block_apply", 256));
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kernel {
    pub(crate) name: &'static str,
    pub(crate) parts: Parts,
    pub(crate) tuning: Tuning,
    pub(crate) sharing: Sharing,
    pub(crate) overwriting: Overwriting,
}

impl Kernel {
    pub(crate) fn new(name: &'static str, parts: Parts, tuning: Tuning) -> Self {
        Self { name, parts, tuning, sharing: Sharing::default(), overwriting: Overwriting::default() }
    }

    /// Stem of its file in `shaders/kernels`, its entry point, and its label.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Invocations in a workgroup.
    pub fn workgroup_size(&self) -> u32 {
        self.tuning.workgroup
    }

    /// Bytes of workgroup memory that it takes at most.
    pub fn workgroup_storage(&self) -> u32 {
        let Tuning { workgroup, channel_lanes, .. } = self.tuning;
        // The lanes of all invocations as f32, and what is known of each channel.
        let (columns, known) = match self.parts.channels {
            Channels::Unblocked => (0, 0),
            Channels::One => (0, 24),
            Channels::Many => (workgroup * 4 * (16 / self.parts.elements.size() as u32), 24 * channel_lanes),
        };
        // Records of 16 bytes that are merged, or pairs of sums.
        (workgroup * 16).max(workgroup * 8 + columns) + known
    }

    /// Storage buffers that it binds.
    pub(crate) fn storage_buffers(&self) -> u32 {
        self.bindings().iter().filter(|binding| binding.storage()).count() as u32
    }

    /// The same before its constants are chosen: they bind nothing.
    pub(crate) fn storage_buffers_of(name: &'static str, parts: Parts) -> u32 {
        let tuning = Tuning { workgroup: 1, channel_lanes: 1, items: 1, block: 1 };
        Self::new(name, parts, tuning).storage_buffers()
    }

    /// How its buffers are bound.
    pub fn sharing(&self) -> Sharing {
        self.sharing
    }

    /// Whether it writes over what it reads.
    pub fn overwriting(&self) -> Overwriting {
        self.overwriting
    }

    /// The same kernel with its buffers bound in another way.
    ///
    /// ```
    /// use wgpu_batchnorm::{Caps, Dtype, InferenceOptions, Plan, Shape, Sharing};
    ///
    /// let shape = Shape::new(&[8, 4], 1, Dtype::F32)?;
    /// let plan = Plan::inference(&shape, &InferenceOptions::default(), &Caps::WEBGPU)?;
    /// let shared = plan.launches()[0].kernel.with_sharing(Sharing::Shared);
    /// assert!(shared.bindings().iter().all(|binding| binding.writable || !binding.storage()));
    /// # Ok::<(), wgpu_batchnorm::Error>(())
    /// ```
    pub fn with_sharing(self, sharing: Sharing) -> Self {
        Self { sharing, ..self }
    }

    /// The same kernel where a tensor goes over the one it is computed from.
    ///
    /// ```
    /// use wgpu_batchnorm::{Caps, Dtype, InferenceOptions, Overwriting, Plan, Role, Shape};
    ///
    /// let shape = Shape::new(&[8, 4], 1, Dtype::F32)?;
    /// let plan = Plan::inference(&shape, &InferenceOptions::default(), &Caps::WEBGPU)?;
    /// let in_place = plan.launches()[0].kernel.with_overwriting(Overwriting::Input);
    /// assert!(in_place.bindings().iter().all(|binding| binding.role != Role::X));
    /// # Ok::<(), wgpu_batchnorm::Error>(())
    /// ```
    pub fn with_overwriting(self, overwriting: Overwriting) -> Self {
        Self { overwriting, ..self }
    }
}

/// The numbers that differ from layer to layer: `shaders/lib/params.wgsl`.
///
/// ```
/// use wgpu_batchnorm::{Caps, Dtype, InferenceOptions, Plan, Shape};
///
/// let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
/// let plan = Plan::inference(&shape, &InferenceOptions::default(), &Caps::WEBGPU)?;
/// let params = plan.launches()[0].params;
/// assert_eq!((params.channels, params.inner, bytemuck::bytes_of(&params).len()), (64, 784, 112));
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    /// Number of channels.
    pub channels: u32,
    /// Values of one channel that lie side by side.
    pub inner: u32,
    /// Values per channel.
    pub count: u32,
    /// Values in the tensor.
    pub len: u32,
    /// What one workgroup takes: values of each channel, or vectors of a block.
    pub chunk: u32,
    /// Partial results per channel.
    pub sets: u32,
    /// Workgroups that have work.
    pub workgroups: u32,
    /// Added to the variance inside the root.
    pub eps: f32,
    /// Weight of the new value in the running statistics.
    pub momentum: f32,
    /// The running variance divides by count - correction.
    pub correction: u32,
    /// Channels from one item of a flat kernel to the next.
    pub item_channels: u32,
    /// Positions in `inner` from one item of a flat kernel to the next.
    pub item_positions: u32,
    /// Vectors of a block in one row of the tensor.
    pub run: u32,
    /// Vectors in one row of the tensor.
    pub row: u32,
    /// Vectors of a block in the whole tensor.
    pub vectors: u32,
    /// Blocks in the tensor.
    pub blocks: u32,
    /// Invocations of a workgroup that take vectors of a block.
    pub stride: u32,
    /// Vectors of the tensor from one vector of an invocation to its next.
    pub step: u32,
    /// Vectors of the run from one vector of an invocation to its next.
    pub step_positions: u32,
    /// Where a slice begins among the words or vectors that are bound.
    pub first: u32,
    /// First channel of a slice.
    pub first_channel: u32,
    /// Channels of the whole tensor.
    pub all_channels: u32,
    /// Where the partial results of a slice begin.
    pub first_partial: u32,
    /// First number of the activation: alpha, or the lower end.
    pub low: f32,
    /// Second number of the activation: the upper end.
    pub high: f32,
    /// Fills the block up to a multiple of 16 bytes.
    pub unused: [u32; 3],
}
