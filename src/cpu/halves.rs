//! f16 as the processor's own instructions take them: a value is converted, computed and rounded in registers. The same
//! operations in the same order as the kernels for f32 have with AVX2, so that outputs are theirs rounded once.

#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "vectors of f16 are only those of x86-64")
)]

use bytemuck::Pod;
use half::f16;
use half::slice::HalfFloatSliceExt;

/// Vectors of f32, from f16 and back. All methods are to be inlined into a [`Kernel`], where the instructions are allowed.
pub(super) trait Wide: Copy {
    /// Values of a vector.
    const LANES: usize;
    type Vector: Copy;
    /// As many values in memory.
    type Halves: Pod;
    type Floats: Pod;

    fn widen(self, values: &Self::Halves) -> Self::Vector;

    /// Rounds once, to nearest even.
    fn narrow(self, vector: Self::Vector) -> Self::Halves;

    fn load(self, values: &Self::Floats) -> Self::Vector;

    fn store(self, vector: Self::Vector) -> Self::Floats;

    fn splat(self, value: f32) -> Self::Vector;

    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// `a * b + c`, rounded once.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;

    /// `c - a * b`, rounded once.
    fn negate_mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;

    /// The last so many lanes of a vector, zero in the others.
    fn last(self, lanes: usize, vector: Self::Vector) -> Self::Vector;
}

/// What is done with vectors of any width.
pub(super) trait Kernel {
    fn run<W: Wide>(self, wide: W);
}

/// Runs a kernel, over stretches of so many values, by the instructions of at most so many lanes; false where there are
/// none for them, and nothing has been done.
pub(super) fn dispatch(stretch: usize, lanes: usize, kernel: impl Kernel) -> bool {
    #[cfg(target_arch = "x86_64")]
    return super::halves_x86::dispatch(stretch.min(lanes), kernel);
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (stretch, lanes, kernel);
        false
    }
}

/// [`dispatch`] for rows of so many columns: what is left of them after the last vector is computed one by one, and should
/// be no more than with f32.
pub(super) fn dispatch_rows(width: usize, kernel: impl Kernel) -> bool {
    dispatch(width, if width.is_multiple_of(16) { 16 } else { 8 }, kernel)
}

/// The first so many vectors of values.
#[inline(always)]
pub(super) fn vectors<T: Pod, V: Pod>(values: &[T], count: usize) -> &[V] {
    &bytemuck::cast_slice(&values[..count * (size_of::<V>() / size_of::<T>())])[..count]
}

#[inline(always)]
pub(super) fn vectors_mut<T: Pod, V: Pod>(values: &mut [T], count: usize) -> &mut [V] {
    &mut bytemuck::cast_slice_mut(&mut values[..count * (size_of::<V>() / size_of::<T>())])[..count]
}

/// The last vector of a run whose length is no multiple of a vector's. It overlaps the one before it.
#[inline(always)]
pub(super) fn last<V: Pod>(run: &[f16]) -> &V {
    &vectors(&run[run.len() - size_of::<V>() / size_of::<f16>()..], 1)[0]
}

#[inline(always)]
pub(super) fn last_mut<V: Pod>(run: &mut [f16]) -> &mut V {
    let start = run.len() - size_of::<V>() / size_of::<f16>();
    &mut vectors_mut(&mut run[start..], 1)[0]
}

/// As many values of each.
pub(super) fn widen(values: &[f16], wide: &mut [f32]) {
    values.convert_to_f32_slice(wide);
}

/// Rounds once, to nearest even.
pub(super) fn narrow(wide: &[f32], values: &mut [f16]) {
    values.convert_from_f32_slice(wide);
}
