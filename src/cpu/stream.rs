//! Stores that pass by the caches: memory that is only written need not be read first, as a cache would, and what is
//! in the caches stays there. The one place with unsafe code.

#![allow(unsafe_code, reason = "the instructions have no safe form")]

use bytemuck::Pod;

/// Whether the target has such stores.
pub(super) const STREAMS: bool = cfg!(target_arch = "x86_64");

/// A cache line. One that is written in parts costs more than it saves.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([[u8; 16]; 4]);

/// Copies to whole cache lines by such stores, and the values before and after them as usual. Before anyone but
/// this thread may look at the memory, [`fence`] has to be called.
pub(super) fn copy<E: Pod>(from: &[E], to: &mut [E]) {
    let (head, lines, tail) = bytemuck::pod_align_to_mut::<E, Line>(to);
    let (from, last) = from.split_at(from.len() - tail.len());
    let (first, from) = from.split_at(head.len());
    head.copy_from_slice(first);
    tail.copy_from_slice(last);
    let from = bytemuck::cast_slice::<E, u8>(from);
    for (line, from) in lines.iter_mut().zip(from.chunks_exact(size_of::<Line>())) {
        let Line(from) = bytemuck::pod_read_unaligned(from);
        for (to, from) in line.0.iter_mut().zip(from) {
            store(to, from);
        }
    }
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
