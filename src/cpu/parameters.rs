//! The numbers that an output is computed from, channel by channel.

use super::division::MOST_COLUMNS;

/// The numbers of the columns of a tile.
pub(super) type Columns = [f32; MOST_COLUMNS + LINE];

pub(super) const NO_COLUMNS: Columns = [0.0; MOST_COLUMNS + LINE];

/// A cache line of f32. Numbers that are read together lie this much more apart than their count, which is often a
/// power of two: they would all fall into the same few places of a cache, and rows of the tensors with them.
const LINE: usize = 16;

/// `N` numbers per channel, each number's values side by side.
#[derive(Debug)]
pub(super) struct Parameters<const N: usize> {
    values: Vec<f32>,
    channels: usize,
}

impl<const N: usize> Parameters<N> {
    pub(super) fn new(channels: usize, of: impl Fn(usize) -> [f32; N]) -> Self {
        let stride = channels + LINE;
        let mut values = vec![0.0; stride * N];
        for channel in 0..channels {
            for (field, value) in of(channel).into_iter().enumerate() {
                values[field * stride + channel] = value;
            }
        }
        Self { values, channels }
    }

    pub(super) fn fields(&self) -> [&[f32]; N] {
        std::array::from_fn(|field| &self.values[field * (self.channels + LINE)..][..self.channels])
    }
}

/// A number of each channel for each of its columns: runs of `inner` columns belong to the channels in turn, round and
/// round.
pub(super) fn spread(field: &[f32], inner: usize, columns: &mut [f32]) {
    for row in columns.chunks_mut(field.len() * inner) {
        for (run, &value) in row.chunks_mut(inner).zip(field) {
            run.fill(value);
        }
    }
}

/// All numbers of each column; see [`spread`].
pub(super) fn spread_all<const N: usize>(fields: [&[f32]; N], inner: usize) -> [Columns; N] {
    fields.map(|field| {
        let mut columns = NO_COLUMNS;
        spread(field, inner, &mut columns);
        columns
    })
}
