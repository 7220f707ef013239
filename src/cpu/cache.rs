//! What a program tells the caches. Stores can pass by them: memory that is only written need not be read first, and
//! what is in the caches stays there. And memory can be asked for before it is needed. With `halves_x86` the one place with
//! unsafe code.

#![allow(unsafe_code, reason = "the instructions have no safe form")]

use bytemuck::Pod;

/// Whether the target has such stores.
pub(super) const STREAMS: bool = cfg!(target_arch = "x86_64");

/// A cache line. One that is written in parts costs more than it saves.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([[u8; 16]; 4]);

/// Copies to whole cache lines by such stores, and what lies before the first of them as usual. Returns how many values
/// that were: those after the last whole line are left. Before anyone but this thread may look at the memory, [`fence`]
/// has to be called.
pub(super) fn copy_lines<E: Pod>(from: &[E], to: &mut [E]) -> usize {
    let (head, lines, tail) = bytemuck::pod_align_to_mut::<E, Line>(to);
    let copied = from.len() - tail.len();
    let (first, from) = from[..copied].split_at(head.len());
    head.copy_from_slice(first);
    let from = bytemuck::cast_slice::<E, u8>(from);
    for (line, from) in lines.iter_mut().zip(from.chunks_exact(size_of::<Line>())) {
        let Line(from) = bytemuck::pod_read_unaligned(from);
        for (to, from) in line.0.iter_mut().zip(from) {
            store(to, from);
        }
    }
    copied
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn store(to: &mut [u8; 16], from: [u8; 16]) {
    use std::arch::x86_64::{__m128i, _mm_stream_si128};
    // SAFETY: every x86-64 processor has SSE2; `to` is writable, and on a boundary of 16 bytes as part of a `Line`.
    unsafe { _mm_stream_si128(std::ptr::from_mut(to).cast::<__m128i>(), bytemuck::cast(from)) };
}

#[cfg(not(target_arch = "x86_64"))]
fn store(to: &mut [u8; 16], from: [u8; 16]) {
    *to = from;
}

/// Has what this thread has stored seen by others in the order in which the language says so.
pub(super) fn fence() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has SSE.
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}

/// Has values on their way to the second-level cache.
pub(super) fn prefetch<E: Pod>(values: &[E]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytemuck::cast_slice::<E, u8>(values).chunks(size_of::<Line>()) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: every x86-64 processor has SSE, and what is prefetched is there.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}

/// Has the line on its way to the nearest cache that is so many values after the first of these, wherever that lies.
#[inline(always)]
pub(super) fn prefetch_ahead<E: Pod>(values: &[E], ahead: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has SSE; the instruction does nothing where there is no memory.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(values.as_ptr().wrapping_add(ahead).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, ahead);
}
