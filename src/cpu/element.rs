//! The storage types of a tensor, and blocks of them as the f32 that the kernels compute in.

use super::cache::prefetch;
use super::halves::{self, narrow, widen};
use super::halves_outputs::{GradientRows, GradientRuns, NormalizeRows, NormalizeRuns};
use super::halves_sums::{AddGradientsRows, AddGradientsRuns, AddMomentsRows, AddMomentsRuns};
use super::parameters::{Fields, Room};
use super::runs::Lanes;

use bytemuck::Pod;

use crate::tensor::Dtype;

/// Values that are converted at once: an input and an output of 16 KiB stay in the first-level cache.
pub(super) const BLOCK: usize = 4096;

/// A storage type that the functions of [`cpu`](crate::cpu) take: f32, and f16 by the crate `half`.
///
/// ```
/// use wgpu_batchnorm::cpu::Element;
///
/// fn takes<E: Element>(_: &[E]) {}
/// takes(&[1.0f32]);
/// takes(&[half::f16::ONE]);
/// ```
pub trait Element: sealed::Storage {}

impl Element for f32 {}
impl Element for half::f16 {}

/// Tensors of fewer bytes are near enough.
const PREFETCHED: usize = 8 << 20;

/// What the tasks of a thread use one after the other.
#[derive(Debug)]
pub(super) struct Workspace<E: Element> {
    /// Where blocks are converted to; nothing where there is nothing to convert.
    pub x: E::Scratch,
    pub dy: E::Scratch,
    pub output: E::Scratch,
    /// Numbers of columns, and of channels.
    pub columns: Room,
    pub channels: Vec<f64>,
}

impl<E: Element> Workspace<E> {
    pub(super) fn new() -> Self {
        Self {
            x: E::scratch(),
            dy: E::scratch(),
            output: E::scratch(),
            columns: Room::default(),
            channels: vec![],
        }
    }
}

/// How rows of the same width lie in a tensor: `stride` values apart.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub stride: usize,
    pub count: usize,
    pub width: usize,
}

impl Layout {
    /// One row of so many values.
    pub fn line(width: usize) -> Self {
        Self { stride: width, count: 1, width }
    }

    /// Prefetches as many rows after those, where they are there: they begin on other pages than these end on, which
    /// no processor foresees.
    pub fn prefetch_next<E: Pod>(self, values: &[E], start: usize) {
        if self.stride == self.width || size_of_val(values) < PREFETCHED {
            return;
        }
        let next = start + self.count * self.stride;
        for row in 0..self.count {
            let Some(row) = values.get(next + row * self.stride..) else { return };
            prefetch(&row[..self.width.min(row.len())]);
        }
    }

    /// The rows of a tensor from that value on.
    pub fn rows<E>(self, values: &[E], start: usize) -> impl Iterator<Item = &[E]> {
        (0..self.count).map(move |row| &values[start + row * self.stride..][..self.width])
    }
}

/// Rows that are read.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    pub values: &'a [f32],
    pub stride: usize,
    pub count: usize,
    pub width: usize,
}

impl<'a> Rows<'a> {
    #[inline(always)]
    pub fn row(&self, index: usize) -> &'a [f32] {
        &self.values[index * self.stride..][..self.width]
    }
}

/// Rows that are written.
#[derive(Debug)]
pub struct RowsMut<'a> {
    pub values: &'a mut [f32],
    pub stride: usize,
    pub count: usize,
    pub width: usize,
}

impl RowsMut<'_> {
    #[inline(always)]
    pub fn row(&mut self, index: usize) -> &mut [f32] {
        &mut self.values[index * self.stride..][..self.width]
    }
}

pub(super) mod sealed {
    use super::{Dtype, Fields, Lanes, Layout, Rows, RowsMut};

    /// How a storage type becomes f32 and back.
    pub trait Storage: bytemuck::Pod + Send + Sync {
        const DTYPE: Dtype;

        /// Values that are best read at once: as many as stay near when they are converted.
        const MOST_READ: usize;

        /// Where a block is converted to.
        type Scratch: std::fmt::Debug;

        fn scratch() -> Self::Scratch;

        fn widen(self) -> f32;

        fn narrow(value: f64) -> Self;

        /// Rows of a tensor as f32: as they are, or converted.
        fn read<'a>(values: &'a [Self], layout: Layout, scratch: &'a mut Self::Scratch) -> Rows<'a>;

        /// Has rows of a tensor written as f32: as they are, or converted after it.
        fn write(
            values: &mut [Self],
            layout: Layout,
            scratch: &mut Self::Scratch,
            write: impl FnOnce(RowsMut<'_>),
        );

        /// A kernel without a detour over f32 in memory, where there is a way; false where there is none, and nothing has
        /// been done. Runs have a length and a first channel, rows a stride of the output; see the kernels of the same names.
        fn add_moments_runs(_: &[Self], _: usize, _: &[f32], _: &mut [Lanes]) -> bool {
            false
        }

        fn add_gradients_runs(_: Pair<'_, Self>, _: usize, _: [&[f32]; 2], _: &mut [Lanes]) -> bool {
            false
        }

        fn add_moments_rows(_: &[Self], _: Layout, _: &[f32], _: &mut [f32], _: &mut [f32]) -> bool {
            false
        }

        fn add_gradients_rows(
            _: Pair<'_, Self>,
            _: Layout,
            _: [&[f32]; 2],
            _: &mut [f32],
            _: &mut [f32],
        ) -> bool {
            false
        }

        fn normalize_runs(_: &[Self], _: &mut [Self], _: (usize, usize), _: Fields<'_, 3>) -> bool {
            false
        }

        fn gradient_runs(_: Pair<'_, Self>, _: &mut [Self], _: (usize, usize), _: Fields<'_, 4>) -> bool {
            false
        }

        fn normalize_rows(_: &[Self], _: &mut [Self], _: Layout, _: usize, _: Fields<'_, 3>) -> bool {
            false
        }

        fn gradient_rows(_: Pair<'_, Self>, _: &mut [Self], _: Layout, _: usize, _: Fields<'_, 4>) -> bool {
            false
        }
    }

    /// x and dy.
    pub type Pair<'a, E> = (&'a [E], &'a [E]);
}

impl sealed::Storage for f32 {
    const DTYPE: Dtype = Dtype::F32;

    const MOST_READ: usize = usize::MAX;

    type Scratch = ();

    fn scratch() {}

    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }

    fn narrow(value: f64) -> Self {
        value as Self
    }

    #[inline(always)]
    fn read<'a>(
        values: &'a [Self],
        Layout { stride, count, width }: Layout,
        (): &'a mut Self::Scratch,
    ) -> Rows<'a> {
        Rows { values, stride, count, width }
    }

    #[inline(always)]
    fn write(
        values: &mut [Self],
        Layout { stride, count, width }: Layout,
        (): &mut Self::Scratch,
        write: impl FnOnce(RowsMut<'_>),
    ) {
        write(RowsMut { values, stride, count, width });
    }
}

impl sealed::Storage for half::f16 {
    const DTYPE: Dtype = Dtype::F16;

    const MOST_READ: usize = BLOCK;

    type Scratch = Vec<f32>;

    fn scratch() -> Self::Scratch {
        Vec::new()
    }

    fn widen(self) -> f32 {
        self.to_f32()
    }

    fn narrow(value: f64) -> Self {
        Self::from_f64(value)
    }

    fn read<'a>(
        values: &'a [Self],
        Layout { stride, count, width }: Layout,
        scratch: &'a mut Self::Scratch,
    ) -> Rows<'a> {
        scratch.resize(scratch.len().max(count * width), 0.0);
        if stride == width || count == 1 {
            widen(&values[..count * width], &mut scratch[..count * width]);
        } else {
            for (row, wide) in values.chunks(stride).zip(scratch.chunks_exact_mut(width)).take(count) {
                widen(&row[..width], wide);
            }
        }
        Rows { values: scratch, stride: width, count, width }
    }

    fn write(
        values: &mut [Self],
        Layout { stride, count, width }: Layout,
        scratch: &mut Self::Scratch,
        write: impl FnOnce(RowsMut<'_>),
    ) {
        scratch.resize(scratch.len().max(count * width), 0.0);
        write(RowsMut { values: scratch, stride: width, count, width });
        if stride == width || count == 1 {
            narrow(&scratch[..count * width], &mut values[..count * width]);
        } else {
            for (row, wide) in values.chunks_mut(stride).zip(scratch.chunks_exact(width)).take(count) {
                narrow(wide, &mut row[..width]);
            }
        }
    }

    fn normalize_runs(
        x: &[Self],
        y: &mut [Self],
        (run, first): (usize, usize),
        fields: Fields<'_, 3>,
    ) -> bool {
        halves::dispatch(run, 16, NormalizeRuns { x, y, run, first, fields })
    }

    fn gradient_runs(
        (x, dy): sealed::Pair<'_, Self>,
        dx: &mut [Self],
        (run, first): (usize, usize),
        fields: Fields<'_, 4>,
    ) -> bool {
        halves::dispatch(run, 16, GradientRuns { x, dy, dx, run, first, fields })
    }

    fn normalize_rows(
        x: &[Self],
        y: &mut [Self],
        of_x: Layout,
        stride: usize,
        fields: Fields<'_, 3>,
    ) -> bool {
        halves::dispatch_rows(of_x.width, NormalizeRows { x, y, of_x, stride, fields })
    }

    fn gradient_rows(
        (x, dy): sealed::Pair<'_, Self>,
        dx: &mut [Self],
        of_x: Layout,
        stride: usize,
        fields: Fields<'_, 4>,
    ) -> bool {
        halves::dispatch_rows(of_x.width, GradientRows { x, dy, dx, of_x, stride, fields })
    }

    fn add_moments_runs(x: &[Self], run: usize, pivots: &[f32], lanes: &mut [Lanes]) -> bool {
        halves::dispatch(run, 8, AddMomentsRuns { x, run, pivots, lanes })
    }

    fn add_gradients_runs(
        (x, dy): sealed::Pair<'_, Self>,
        run: usize,
        fields: [&[f32]; 2],
        lanes: &mut [Lanes],
    ) -> bool {
        halves::dispatch(run, 8, AddGradientsRuns { x, dy, run, fields, lanes })
    }

    fn add_moments_rows(
        x: &[Self],
        of_x: Layout,
        pivots: &[f32],
        sums: &mut [f32],
        squares: &mut [f32],
    ) -> bool {
        halves::dispatch_rows(of_x.width, AddMomentsRows { x, of_x, pivots, sums, squares })
    }

    fn add_gradients_rows(
        (x, dy): sealed::Pair<'_, Self>,
        of_x: Layout,
        fields: [&[f32]; 2],
        sums: &mut [f32],
        products: &mut [f32],
    ) -> bool {
        halves::dispatch_rows(of_x.width, AddGradientsRows { x, dy, of_x, fields, sums, products })
    }
}
