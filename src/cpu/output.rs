//! Where a task writes.

use std::ops::Range;

use super::division::MOST_COLUMNS;
use super::element::{BLOCK, Element, Layout};
use super::stream::{self, STREAMS};

/// Values that are put together before they pass by the caches.
const STAGED: usize = 512;

// A row of a tile goes in one piece.
const _: () = assert!(MOST_COLUMNS <= STAGED);

/// Tensors of so many bytes and more pass by the caches: less than them may still be there when someone reads it.
const STREAMED: usize = 32 << 20;

/// Whether an output of so many values passes by the caches.
pub(super) fn streams<E: Element>(len: usize) -> bool {
    STREAMS && len * size_of::<E>() >= STREAMED
}

/// Where a task puts values together that are to pass by the caches; nothing where they are not.
pub(super) struct Staging<E>(Option<[E; STAGED]>);

impl<E: Element> Staging<E> {
    pub(super) fn new(streams: bool) -> Self {
        Self(streams.then(bytemuck::Zeroable::zeroed))
    }
}

/// Values of an output that are one task's to write, until it is dropped.
pub(super) struct Output<'a, E: Element> {
    values: &'a mut [E],
    staged: Option<&'a mut [E; STAGED]>,
}

impl<'a, E: Element> Output<'a, E> {
    pub(super) fn new(values: &'a mut [E], staging: &'a mut Staging<E>) -> Self {
        Self { values, staged: staging.0.as_mut() }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// Values that may be written in one piece, without a gap.
    pub(super) fn most(&self) -> usize {
        if self.staged.is_some() { STAGED } else { BLOCK }
    }

    /// Has rows written: calls back for some of them at a time, which are to be put that far apart.
    pub(super) fn rows(
        &mut self,
        start: usize,
        layout: Layout,
        mut write: impl FnMut(Range<usize>, &mut [E], usize),
    ) {
        let Layout { stride, count, width } = layout;
        let Some(staged) = &mut self.staged else {
            return write(0..count, &mut self.values[start..], stride);
        };
        // Of wide rows one at a time: kernels that take two would wait for the second one's memory.
        let at_once = if stride == width { (STAGED / 2 / width).max(1) } else { 1 };
        for first in (0..count).step_by(at_once) {
            let rows = first..count.min(first + at_once);
            let staged = &mut staged[..rows.len() * width];
            write(rows, staged, width);
            stream::copy(staged, &mut self.values[start + first * stride..][..staged.len()]);
        }
    }
}

impl<E: Element> Drop for Output<'_, E> {
    fn drop(&mut self) {
        if self.staged.is_some() {
            stream::fence();
        }
    }
}
