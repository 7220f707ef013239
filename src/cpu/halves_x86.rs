//! Vectors of f16 by the instructions of x86-64.

#![allow(unsafe_code, reason = "pulp knows whether there is F16C, but has no safe form of its instructions")]

use std::arch::x86_64::{__m256, __m512, _MM_FROUND_TO_NEAREST_INT, _mm256_cvtph_ps, _mm256_cvtps_ph};

use half::f16;
use pulp::NullaryFnOnce;

use super::halves::{Kernel, Wide};

pulp::simd_type! {
    /// What every processor with AVX2 has.
    struct Eight {
        avx: "avx",
        avx2: "avx2",
        f16c: "f16c",
        fma: "fma",
    }

    /// AVX-512: an output takes 0.57 to 0.78 of the time, as its numbers per channel, in f32, are most of what is loaded.
    /// (In f32 it takes longer by this: values on no boundary of 64 bytes lie in two cache lines each.)
    struct Sixteen {
        avx: "avx",
        avx2: "avx2",
        f16c: "f16c",
        fma: "fma",
        avx512f: "avx512f",
        avx512dq: "avx512dq",
    }
}

struct Job<W, K>(W, K);

impl<W: Wide, K: Kernel> NullaryFnOnce for Job<W, K> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.1.run(self.0);
    }
}

pub(super) fn dispatch(lanes: usize, kernel: impl Kernel) -> bool {
    if lanes >= Sixteen::LANES
        && let Some(wide) = Sixteen::try_new()
    {
        wide.vectorize(Job(wide, kernel));
        return true;
    }
    if lanes >= Eight::LANES
        && let Some(wide) = Eight::try_new()
    {
        wide.vectorize(Job(wide, kernel));
        return true;
    }
    false
}

/// Bits of lanes of which the last `lanes` are kept.
#[inline(always)]
fn mask<const N: usize>(lanes: usize) -> [u32; N] {
    std::array::from_fn(|lane| if lane + lanes >= N { u32::MAX } else { 0 })
}

impl Wide for Eight {
    const LANES: usize = 8;
    type Vector = __m256;
    type Halves = [f16; 8];
    type Floats = [f32; 8];

    #[inline(always)]
    fn widen(self, values: &[f16; 8]) -> __m256 {
        // SAFETY: there is an `Eight` only where the processor has F16C.
        unsafe { _mm256_cvtph_ps(bytemuck::cast(*values)) }
    }

    #[inline(always)]
    fn narrow(self, vector: __m256) -> [f16; 8] {
        // SAFETY: as for `widen`.
        bytemuck::cast(unsafe { _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(vector) })
    }

    #[inline(always)]
    fn load(self, values: &[f32; 8]) -> __m256 {
        bytemuck::cast(*values)
    }

    #[inline(always)]
    fn store(self, vector: __m256) -> [f32; 8] {
        bytemuck::cast(vector)
    }

    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        self.avx._mm256_set1_ps(value)
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        self.avx._mm256_add_ps(a, b)
    }

    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        self.avx._mm256_sub_ps(a, b)
    }

    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        self.avx._mm256_mul_ps(a, b)
    }

    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        self.fma._mm256_fmadd_ps(a, b, c)
    }

    #[inline(always)]
    fn negate_mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        self.fma._mm256_fnmadd_ps(a, b, c)
    }

    #[inline(always)]
    fn last(self, lanes: usize, vector: __m256) -> __m256 {
        self.avx._mm256_and_ps(bytemuck::cast(mask::<8>(lanes)), vector)
    }
}

impl Wide for Sixteen {
    const LANES: usize = 16;
    type Vector = __m512;
    type Halves = [f16; 16];
    type Floats = [f32; 16];

    #[inline(always)]
    fn widen(self, values: &[f16; 16]) -> __m512 {
        self.avx512f._mm512_cvtph_ps(bytemuck::cast(*values))
    }

    #[inline(always)]
    fn narrow(self, vector: __m512) -> [f16; 16] {
        bytemuck::cast(self.avx512f._mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(vector))
    }

    #[inline(always)]
    fn load(self, values: &[f32; 16]) -> __m512 {
        bytemuck::cast(*values)
    }

    #[inline(always)]
    fn store(self, vector: __m512) -> [f32; 16] {
        bytemuck::cast(vector)
    }

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        self.avx512f._mm512_set1_ps(value)
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        self.avx512f._mm512_add_ps(a, b)
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        self.avx512f._mm512_sub_ps(a, b)
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        self.avx512f._mm512_mul_ps(a, b)
    }

    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        self.avx512f._mm512_fmadd_ps(a, b, c)
    }

    #[inline(always)]
    fn negate_mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        self.avx512f._mm512_fnmadd_ps(a, b, c)
    }

    #[inline(always)]
    fn last(self, lanes: usize, vector: __m512) -> __m512 {
        self.avx512dq._mm512_and_ps(bytemuck::cast(mask::<16>(lanes)), vector)
    }
}
