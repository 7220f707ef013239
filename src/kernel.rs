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
    /// Neighbouring channels that a workgroup reduces side by side, a power of two.
    pub(crate) channel_lanes: u32,
    /// Words that one invocation of a flat kernel handles.
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
/// assert_eq!((kernel.name(), kernel.workgroup_size()), ("infer_apply", 256));
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
/// assert_eq!((params.channels, params.inner, bytemuck::bytes_of(&params).len()), (64, 784, 48));
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
    /// Values per channel that one workgroup reduces.
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
}
