//! Where a task writes.

use std::ops::Range;

use super::cache::{self, STREAMS};
use super::element::{Element, Layout};

/// Values that are put together before they pass by the caches; the numbers of as many columns are spread at once.
pub(super) const STAGED: usize = 512;

/// Room for values that a line is still lacking others of.
const PENDING: usize = 64;

/// Tensors of so many bytes and more pass by the caches: less than them may still be there when someone reads it.
const STREAMED: usize = 32 << 20;

/// Whether an output of so many values passes by the caches.
pub(super) fn streams<E: Element>(len: usize) -> bool {
    STREAMS && len * size_of::<E>() >= STREAMED
}

/// Where a task puts values together that are to pass by the caches; nothing where they are not.
pub(super) struct Staging<E>(Option<[E; PENDING + STAGED]>);

impl<E: Element> Staging<E> {
    pub(super) fn new(streams: bool) -> Self {
        Self(streams.then(|| [E::zeroed(); PENDING + STAGED]))
    }
}

/// Values of an output that are one task's to write, until it is dropped.
pub(super) struct Output<'a, E: Element> {
    values: &'a mut [E],
    staged: Option<&'a mut [E; PENDING + STAGED]>,
    /// How many of the staged values wait for more, and which of the output they are.
    pending: usize,
    start: usize,
}

impl<'a, E: Element> Output<'a, E> {
    pub(super) fn new(values: &'a mut [E], staging: &'a mut Staging<E>) -> Self {
        Self { values, staged: staging.0.as_mut(), pending: 0, start: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// Values that may be written in one piece, without a gap.
    pub(super) fn most(&self) -> usize {
        if self.staged.is_some() { STAGED } else { usize::MAX }
    }

    /// Has rows written: calls back for some of them at a time, which are to be put that far apart.
    pub(super) fn rows(
        &mut self,
        start: usize,
        layout: Layout,
        mut write: impl FnMut(Range<usize>, &mut [E], usize),
    ) {
        let Layout { stride, count, width } = layout;
        if self.staged.is_none() {
            return write(0..count, &mut self.values[start..], stride);
        }
        // Of wide rows one at a time.
        let at_once = if stride == width { (STAGED / 2 / width).max(1) } else { 1 };
        for first in (0..count).step_by(at_once) {
            let rows = first..count.min(first + at_once);
            self.piece(start + first * stride, rows.len() * width, |staged| write(rows, staged, width));
        }
    }

    /// Whole lines go as soon as they are there; the values left over wait for the next piece.
    fn piece(&mut self, start: usize, len: usize, write: impl FnOnce(&mut [E])) {
        if start != self.start + self.pending {
            self.flush();
            self.start = start;
        }
        let Some(staged) = &mut self.staged else { return };
        write(&mut staged[self.pending..][..len]);
        let staged = &mut staged[..self.pending + len];
        let gone = cache::copy_lines(staged, &mut self.values[self.start..][..staged.len()]);
        staged.copy_within(gone.., 0);
        self.pending = staged.len() - gone;
        self.start += gone;
    }

    fn flush(&mut self) {
        if let Some(staged) = &self.staged {
            self.values[self.start..][..self.pending].copy_from_slice(&staged[..self.pending]);
            self.pending = 0;
        }
    }
}

impl<E: Element> Drop for Output<'_, E> {
    fn drop(&mut self) {
        if self.staged.is_some() {
            self.flush();
            cache::fence();
        }
    }
}
