//! How the running statistics follow the batches.

use bytemuck::{Pod, Zeroable};

use crate::error::Error;

/// Which variance of a batch of m values goes into the running variance. The batch itself is always normalized by
/// the biased one.
///
/// ```
/// use wgpu_batchnorm::RunningVariance;
///
/// assert_eq!(RunningVariance::default(), RunningVariance::Unbiased);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RunningVariance {
    /// Divided by m - 1, as in algorithm 2 line 10 of the paper, PyTorch, cuDNN and candle.
    #[default]
    Unbiased,
    /// Divided by m, as in ONNX, Keras and Burn.
    Biased,
}

/// What a new value weighs in a moving average.
///
/// ```
/// use wgpu_batchnorm::Momentum;
///
/// // The same average, as PyTorch and as TensorFlow describe it.
/// assert_eq!(Momentum::OfNew(0.25).weight(), Momentum::OfOld(0.75).weight());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Momentum {
    /// The weight of the new value, as in PyTorch: `new = (1 - momentum) * old + momentum * batch`. Any finite number,
    /// as there.
    OfNew(f32),
    /// The weight of the old value, as in TensorFlow, Keras and ONNX: `new = momentum * old + (1 - momentum) * batch`.
    /// Any finite number.
    OfOld(f32),
    /// The average of all batches, PyTorch's `momentum=None`: a weight of 1 / n at the n-th batch, counted before it is
    /// used, so that the first one replaces what was there, if that is finite. The count is [`RunningCounters::updates`].
    /// [`Training::set_momentum`](crate::Training::set_momentum) neither sets nor leaves it.
    Cumulative,
}

impl Momentum {
    /// The weight of the new value; `None` where it depends on the count.
    pub fn weight(self) -> Option<f32> {
        match self {
            Self::OfNew(momentum) => Some(momentum),
            Self::OfOld(momentum) => Some(1.0 - momentum),
            Self::Cumulative => None,
        }
    }

    pub(crate) fn check(self) -> Result<(), Error> {
        match self {
            Self::OfNew(got) | Self::OfOld(got) if !got.is_finite() => Err(Error::Momentum { got }),
            _ => Ok(()),
        }
    }
}

impl Default for Momentum {
    fn default() -> Self {
        Self::OfNew(0.1)
    }
}

/// Which batches are let into the running statistics. Batches that are not are counted in
/// [`RunningCounters::skipped`]. It is decided on the GPU; nobody waits for it.
///
/// ```
/// use wgpu_batchnorm::{RunningStatistics, Update};
///
/// // One NaN does not spoil the statistics for good.
/// let running = RunningStatistics { update: Update::IfLayerFinite, ..Default::default() };
/// assert!(running.needs_counters());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Update {
    /// Every batch, as in PyTorch: a NaN stays in the average.
    #[default]
    Always,
    /// For each channel, those batches whose mean and variance of that channel are finite.
    IfChannelFinite,
    /// Those batches whose mean and variance are finite in all channels.
    IfLayerFinite,
}

/// Where the new running statistics go.
///
/// ```
/// use wgpu_batchnorm::RunningTarget;
///
/// assert_eq!(RunningTarget::default(), RunningTarget::InPlace);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RunningTarget {
    /// Over the old ones, in `running_mean` and `running_var`.
    #[default]
    InPlace,
    /// To `new_running_mean` and `new_running_var`, and the old ones stay. A channel that skips the batch copies them.
    /// Counters are updated where they are.
    Fresh,
}

/// How the running statistics follow the batches.
///
/// With a constant momentum and [`Update::Always`] the update is part of a launch that is there anyway; to fresh buffers it
/// is where the device lets that launch bind two more (9 storage buffers in most layers, 10 with a residual, one more for
/// large tensors). Everything else is one more launch over the channels, which does not see the tensor.
/// [`MergeMoments`](crate::MergeMoments) takes in-place updates without counters, and refuses others, for a
/// [`RunningUpdate`](crate::RunningUpdate) after it to do.
///
/// Whatever is kept out of the averages, y and the gradients of a batch with a NaN are what they are.
///
/// ```
/// use wgpu_batchnorm::{Momentum, RunningStatistics, RunningVariance};
///
/// let keras = RunningStatistics {
///     momentum: Momentum::OfOld(0.99),
///     variance: RunningVariance::Biased,
///     ..Default::default()
/// };
/// assert_ne!(keras, RunningStatistics::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RunningStatistics {
    /// What a new value weighs. Default: 0.1 for the new one.
    pub momentum: Momentum,
    /// Which variance is averaged.
    pub variance: RunningVariance,
    /// Which batches are let in.
    pub update: Update,
    /// Where the result goes.
    pub target: RunningTarget,
}

impl RunningStatistics {
    /// Whether the buffer `counters` is needed: for a cumulative average, and where batches may be skipped.
    pub fn needs_counters(&self) -> bool {
        self.momentum == Momentum::Cumulative || self.update != Update::Always
    }

    /// Whether what merges moments updates them, or an operation of their own.
    pub(crate) fn joins(&self) -> bool {
        !self.needs_counters() && self.target == RunningTarget::InPlace
    }

    /// What is subtracted from m where the variance is divided by it.
    pub(crate) fn correction(&self) -> u32 {
        match self.variance {
            RunningVariance::Unbiased => 1,
            RunningVariance::Biased => 0,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        self.momentum.check()
    }
}

/// What has become of the batches of one channel: 8 bytes of `counters[channel]`, both 0 for a new layer. The caller may
/// read them back when it likes, and set them, when it takes up a checkpoint: `updates` is PyTorch's
/// `num_batches_tracked`, which counts every batch since none is skipped there; see
/// [`BatchNormState::counters`](crate::BatchNormState::counters).
///
/// ```
/// use wgpu_batchnorm::RunningCounters;
///
/// let resumed = RunningCounters { updates: 1000, skipped: 0 };
/// assert_eq!(bytemuck::bytes_of(&resumed).len() as u64, RunningCounters::SIZE);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct RunningCounters {
    /// Batches that the running statistics have seen; both counts stay at `u32::MAX`.
    pub updates: u32,
    /// Batches that were not let in.
    pub skipped: u32,
}

impl RunningCounters {
    /// Bytes of one channel.
    pub const SIZE: u64 = size_of::<Self>() as u64;
}
