//! The numbers that an output is computed from, channel by channel.

use super::division::MOST_COLUMNS;

/// `N` numbers per channel, each number's values side by side.
#[derive(Debug)]
pub(super) struct Parameters<const N: usize> {
    values: Vec<f32>,
}

impl<const N: usize> Parameters<N> {
    pub(super) fn new(channels: usize, of: impl Fn(usize) -> [f32; N]) -> Self {
        let mut values = vec![0.0; channels * N];
        for channel in 0..channels {
            for (field, value) in of(channel).into_iter().enumerate() {
                values[field * channels + channel] = value;
            }
        }
        Self { values }
    }

    pub(super) fn fields(&self) -> [&[f32]; N] {
        let channels = self.values.len() / N;
        std::array::from_fn(|field| &self.values[field * channels..][..channels])
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
pub(super) fn spread_all<const N: usize>(fields: [&[f32]; N], inner: usize) -> [[f32; MOST_COLUMNS]; N] {
    fields.map(|field| {
        let mut columns = [0.0; MOST_COLUMNS];
        spread(field, inner, &mut columns);
        columns
    })
}
