//! The numbers that an output is computed from, channel by channel.

use super::output::STAGED;

/// The numbers of the columns that an output is computed for at once.
pub(super) type Columns = [f32; STAGED + LINE];

/// A cache line of f32. Numbers that are read together lie this much more apart than their count, which is often a
/// power of two: they would all fall into the same few places of a cache, and rows of the tensors with them.
const LINE: usize = 16;

/// Room for `N` times so many numbers.
pub(super) fn room<T: Clone + Default, const N: usize>(values: &mut Vec<T>, len: usize) -> [&mut [T]; N] {
    let stride = len + LINE;
    if values.len() < N * stride {
        values.resize(N * stride, T::default());
    }
    let mut parts = values.chunks_exact_mut(stride);
    std::array::from_fn(|_| parts.next().map_or(&mut [][..], |part| &mut part[..len]))
}

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
        let mut columns = [0.0; STAGED + LINE];
        spread(field, inner, &mut columns);
        columns
    })
}
