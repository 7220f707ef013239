//! What is measured: shapes, operations, layouts, and whether the cache is cold.

use serde::{Deserialize, Serialize};
use wgpu_batchnorm::{Dtype, Error, Shape};

/// Batch, channels and extent: stages of ResNet-50 at two batches, two layers of Inception, one without extent.
const STANDARD: [(usize, usize, usize); 13] = [
    (32, 64, 112),
    (32, 256, 56),
    (32, 512, 28),
    (32, 1024, 14),
    (32, 2048, 7),
    (256, 64, 112),
    (256, 256, 56),
    (256, 512, 28),
    (256, 1024, 14),
    (256, 2048, 7),
    (32, 192, 28),
    (32, 1024, 7),
    (4096, 1024, 1),
];

/// How much of the standard shapes' batch is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Full,
    /// An eighth, for devices that are CPUs.
    Small,
    /// As little as keeps every shape.
    Smoke,
}

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    Training,
    Inference,
    Backward,
    /// The backward pass of inference.
    Frozen,
}

/// Where the channels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    ChannelsFirst,
    ChannelsLast,
}

/// Whether an operation finds its tensors where the last one left them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cache {
    /// Other tensors each time, over more memory than a cache holds.
    Cold,
    /// The same tensors each time.
    Warm,
}

impl Scale {
    pub const ALL: [Self; 3] = [Self::Full, Self::Small, Self::Smoke];

    /// The standard shapes at this scale: batch, channels, extent.
    pub fn shapes(self) -> impl Iterator<Item = Dims> {
        let part = match self {
            Self::Full => 1,
            Self::Small => 8,
            Self::Smoke => 64,
        };
        STANDARD.into_iter().map(move |(batch, channels, extent)| Dims {
            batch: (batch / part).max(if batch > 32 { 4 } else { 2 }),
            channels,
            extent,
        })
    }
}

impl Operation {
    pub const ALL: [Self; 4] = [Self::Training, Self::Inference, Self::Backward, Self::Frozen];

    /// The fewest times that memory of the size of the tensor is read or written, with a channel held on chip.
    pub fn minimal_passes(self) -> u32 {
        match self {
            Self::Training | Self::Inference => 2,
            Self::Backward | Self::Frozen => 3,
        }
    }
}

impl Layout {
    pub const ALL: [Self; 2] = [Self::ChannelsFirst, Self::ChannelsLast];
}

impl Cache {
    pub const ALL: [Self; 2] = [Self::Cold, Self::Warm];
}

/// Batch, channels and extent of a plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dims {
    pub batch: usize,
    pub channels: usize,
    pub extent: usize,
}

impl Dims {
    /// The layouts that differ.
    pub fn layouts(&self) -> &'static [Layout] {
        if self.extent == 1 { &Layout::ALL[..1] } else { &Layout::ALL }
    }

    pub fn shape(&self, layout: Layout, dtype: Dtype) -> Result<Shape, Error> {
        let Self { batch, channels, extent } = *self;
        match layout {
            _ if extent == 1 => Shape::new(&[batch, channels], 1, dtype),
            Layout::ChannelsFirst => Shape::new(&[batch, channels, extent, extent], 1, dtype),
            Layout::ChannelsLast => Shape::new(&[batch, extent, extent, channels], 3, dtype),
        }
    }

    /// Bytes of one tensor, in whole vectors of 16.
    pub fn bytes(&self, dtype: Dtype) -> u64 {
        let values = (self.batch * self.channels * self.extent * self.extent) as u64;
        (values * dtype.size()).next_multiple_of(16)
    }
}

/// Channels second, in both layouts, as in `32x64x112x112`.
impl std::fmt::Display for Dims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { batch, channels, extent } = self;
        match extent {
            1 => write!(f, "{batch}x{channels}"),
            _ => write!(f, "{batch}x{channels}x{extent}x{extent}"),
        }
    }
}

impl std::fmt::Display for Scale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::Small => "small",
            Self::Smoke => "smoke",
        })
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Training => "training",
            Self::Inference => "inference",
            Self::Backward => "backward",
            Self::Frozen => "frozen",
        })
    }
}

impl std::fmt::Display for Layout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ChannelsFirst => "channels_first",
            Self::ChannelsLast => "channels_last",
        })
    }
}

impl std::fmt::Display for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Cold => "cold",
            Self::Warm => "warm",
        })
    }
}
