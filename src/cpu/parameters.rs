//! The numbers that an output is computed from, channel by channel.

use std::ops::Range;

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

/// What an output is computed from, of some channels or columns; the kernels say what each number is.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a, const N: usize> {
    pub each: [&'a [f32]; N],
    /// What is left out of the scale; `None` where that is 1 everywhere.
    pub rest: Option<&'a [f32]>,
}

impl<const N: usize> Fields<'_, N> {
    pub fn channels(&self) -> usize {
        self.each[0].len()
    }

    /// Those of some of the channels.
    pub fn some(&self, channels: Range<usize>) -> Self {
        Self {
            each: self.each.map(|field| &field[channels.clone()]),
            rest: self.rest.map(|rest| &rest[channels]),
        }
    }

    /// Those of each column, in its room; see [`spread`].
    pub fn spread<'a>(&self, inner: usize, width: usize, room: &'a mut Vec<f32>) -> Fields<'a, N> {
        let stride = width + LINE;
        room.resize(room.len().max((N + 1) * stride), 0.0);
        for (columns, field) in room.chunks_exact_mut(stride).zip(self.each.into_iter().chain(self.rest)) {
            spread(field, inner, &mut columns[..width]);
        }
        let field = |index: usize| &room[index * stride..][..width];
        Fields { each: std::array::from_fn(field), rest: self.rest.map(|_| field(N)) }
    }
}

/// `invstd * gamma` as a scale and a rest: their product and 1, unless that overflows or loses digits where the output
/// need not. The rest is multiplied by first, so that one of 1 changes no bit.
pub(super) fn scale(invstd: f32, gamma: f32) -> [f32; 2] {
    let scale = (f64::from(invstd) * f64::from(gamma)) as f32;
    if scale.is_normal() || gamma == 0.0 { [scale, 1.0] } else { [gamma, invstd] }
}

/// [`Fields`] of all channels of a tile or a tensor, each number's values side by side.
#[derive(Debug)]
pub(super) struct Parameters<const N: usize> {
    values: Vec<f32>,
    channels: usize,
    has_rest: bool,
}

impl<const N: usize> Parameters<N> {
    /// By the numbers of each channel, and the rest of its scale.
    pub(super) fn new(channels: usize, of: impl Fn(usize) -> ([f32; N], f32)) -> Self {
        let stride = channels + LINE;
        let mut values = vec![0.0; stride * (N + 1)];
        let mut has_rest = false;
        for channel in 0..channels {
            let (each, rest) = of(channel);
            for (field, value) in each.into_iter().chain([rest]).enumerate() {
                values[field * stride + channel] = value;
            }
            has_rest |= rest != 1.0;
        }
        Self { values, channels, has_rest }
    }

    pub(super) fn fields(&self) -> Fields<'_, N> {
        let field = |index: usize| &self.values[index * (self.channels + LINE)..][..self.channels];
        Fields { each: std::array::from_fn(field), rest: self.has_rest.then(|| field(N)) }
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
