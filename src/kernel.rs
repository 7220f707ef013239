//! Which kernel, in which variant, with which numbers: plain data.

use bytemuck::{Pod, Zeroable};

use crate::options::Affine;
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
}

impl Parts {
    pub(crate) fn new(elements: Dtype) -> Self {
        Self { elements, ..Self::default() }
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
}

impl Kernel {
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

    /// How its buffers are bound.
    pub fn sharing(&self) -> Sharing {
        self.sharing
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
}

/// The numbers that differ from layer to layer: `shaders/lib/params.wgsl`.
///
/// ```
/// use wgpu_batchnorm::{Caps, Dtype, InferenceOptions, Plan, Shape};
///
/// let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
/// let plan = Plan::inference(&shape, &InferenceOptions::default(), &Caps::WEBGPU)?;
/// let params = plan.launches()[0].params;
/// assert_eq!((params.channels, params.inner, bytemuck::bytes_of(&params).len()), (64, 784, 96));
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
    /// Fills the block up to 16 bytes.
    pub unused: u32,
}
