//! The shapes that every operation is run on.

use wgpu_batchnorm::{Dtype, Shape};

/// Where the channels lie among `[batch, channels, inner]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelAxis {
    First,
    Middle,
    Last,
}

impl ChannelAxis {
    pub const ALL: [Self; 3] = [Self::First, Self::Middle, Self::Last];

    pub fn shape(self, batch: usize, channels: usize, inner: usize, dtype: Dtype) -> Shape {
        let (dims, axis) = match self {
            Self::First => ([channels, batch, inner], 0),
            Self::Middle => ([batch, channels, inner], 1),
            Self::Last => ([batch, inner, channels], 2),
        };
        Shape::new(&dims, axis, dtype).expect("a shape of the grid")
    }
}

const INNER: [usize; 6] = [1, 2, 3, 7 * 7, 13 * 17, 64 * 65];
const CHANNELS: [usize; 7] = [1, 2, 3, 17, 64, 130, 2048];
const BATCHES: [usize; 7] = [256, 0, 1, 2, 33, 3, 64];

/// Most values in a tensor of the grid. The one pair of inner size and channels that is above it in a single image
/// comes empty.
const MOST: usize = 1 << 19;

/// Every channel axis with every inner size and every number of channels. The batches take turns, each time from the
/// next that is small enough on, so that each channel axis meets each batch; the two storage types start at
/// different ones.
pub fn shapes(dtype: Dtype) -> Vec<Shape> {
    let mut turn = match dtype {
        Dtype::F32 => 0,
        Dtype::F16 => 3,
    };
    let (mut shapes, mut met) = (Vec::new(), Vec::new());
    for axis in ChannelAxis::ALL {
        for inner in INNER {
            for channels in CHANNELS {
                turn += 1;
                let fits = |batch: &usize| batch * inner != 1 && batch * inner * channels <= MOST;
                let mut batches = BATCHES.into_iter().cycle().skip(turn % BATCHES.len()).take(BATCHES.len());
                let batch = batches.find(fits).expect("an empty batch always fits");
                met.push((axis, batch));
                shapes.push(axis.shape(batch, channels, inner, dtype));
            }
        }
    }
    for axis in ChannelAxis::ALL {
        for batch in BATCHES {
            assert!(met.contains(&(axis, batch)), "no batch of {batch} with channels {axis:?}");
        }
    }
    shapes
}
