//! The numbers that an output is computed from, channel by channel.

use std::ops::Range;

/// A cache line of f32. Numbers that are read together lie this much more apart than their count, which is often a
/// power of two: they would all fall into the same few places of a cache, and rows of the tensors with them.
const LINE: usize = 16;

/// Those of the input gradient, and a rest.
const MOST_FIELDS: usize = 5;

/// Lines of f32. Vectors of numbers per channel are loaded for each vector of a tensor: none of them should lie in two
/// cache lines, which takes twice as long.
#[derive(Debug, Default)]
pub(super) struct Room(Vec<Line>);

#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

impl Room {
    /// Room for `N` times so many numbers, of any value.
    pub(super) fn take<const N: usize>(&mut self, len: usize) -> [&mut [f32]; N] {
        self.grow(N, len);
        parts(bytemuck::cast_slice_mut(&mut self.0), stride(len), len)
    }

    fn grow(&mut self, count: usize, len: usize) {
        let lines = count * stride(len) / LINE;
        if self.0.len() < lines {
            self.0.resize(lines, Line([0.0; LINE]));
        }
    }

    /// One of the numbers that [`take`](Self::take) makes room for.
    fn field(&self, index: usize, len: usize) -> &[f32] {
        &bytemuck::cast_slice(&self.0)[index * stride(len)..][..len]
    }
}

/// Whole lines, and one more.
fn stride(len: usize) -> usize {
    len.next_multiple_of(LINE) + LINE
}

fn parts<T, const N: usize>(values: &mut [T], stride: usize, len: usize) -> [&mut [T]; N] {
    let mut parts = values.chunks_exact_mut(stride);
    std::array::from_fn(|_| parts.next().map_or(&mut [][..], |part| &mut part[..len]))
}

/// Room for `N` times so many sums, of any value.
pub(super) fn room<const N: usize>(values: &mut Vec<f64>, len: usize) -> [&mut [f64]; N] {
    values.resize(values.len().max(N * stride(len)), 0.0);
    parts(values, stride(len), len)
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
    pub(super) fn spread<'a>(&self, inner: usize, width: usize, room: &'a mut Room) -> Fields<'a, N> {
        let columns: [_; MOST_FIELDS] = room.take(width);
        for (columns, field) in columns.into_iter().zip(self.each.into_iter().chain(self.rest)) {
            spread(field, inner, columns);
        }
        Fields {
            each: std::array::from_fn(|index| room.field(index, width)),
            rest: self.rest.map(|_| room.field(N, width)),
        }
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
    values: Room,
    channels: usize,
    has_rest: bool,
}

impl<const N: usize> Parameters<N> {
    /// By the numbers of each channel, and the rest of its scale.
    pub(super) fn new(channels: usize, of: impl Fn(usize) -> ([f32; N], f32)) -> Self {
        let (mut values, mut has_rest) = (Room::default(), false);
        let mut fields: [_; MOST_FIELDS] = values.take(channels);
        for channel in 0..channels {
            let (each, rest) = of(channel);
            for (field, value) in fields.iter_mut().zip(each.into_iter().chain([rest])) {
                field[channel] = value;
            }
            has_rest |= rest != 1.0;
        }
        Self { values, channels, has_rest }
    }

    pub(super) fn fields(&self) -> Fields<'_, N> {
        Fields {
            each: std::array::from_fn(|index| self.values.field(index, self.channels)),
            rest: self.has_rest.then(|| self.values.field(N, self.channels)),
        }
    }
}

/// A number of each channel for each of its columns: runs of `inner` columns belong to the channels in turn, round and
/// round.
pub(super) fn spread(field: &[f32], inner: usize, columns: &mut [f32]) {
    if field.len() == columns.len() {
        return columns.copy_from_slice(field);
    }
    for row in columns.chunks_mut(field.len() * inner) {
        for (run, &value) in row.chunks_mut(inner).zip(field) {
            run.fill(value);
        }
    }
}
