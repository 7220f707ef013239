//! f16 to f32 and back, by the processor's instructions where it has them.

use half::f16;
use half::slice::HalfFloatSliceExt;
use multiversion::multiversion;
use multiversion::target::match_target;

use super::element::Layout;
use super::runs::Lanes;

/// Values of a vector; runs have at least as many.
pub(super) const LANES: usize = 8;

/// As many values of each.
#[multiversion(targets("x86_64+avx+f16c"))]
pub(super) fn widen(values: &[f16], wide: &mut [f32]) {
    match_target! {
        "x86_64+avx+f16c" => by_eight::widen(values, wide),
        _ => values.convert_to_f32_slice(wide),
    }
}

/// Rounds once, to nearest even.
#[multiversion(targets("x86_64+avx+f16c"))]
pub(super) fn narrow(wide: &[f32], values: &mut [f16]) {
    match_target! {
        "x86_64+avx+f16c" => by_eight::narrow(wide, values),
        _ => values.convert_from_f32_slice(wide),
    }
}

/// As [`Normalize`](super::runs::Normalize) of one row; false where nothing was done, for want of the instructions.
#[multiversion(targets("x86_64+avx2+fma+f16c"))]
pub(super) fn normalize_runs(x: &[f16], y: &mut [f16], runs: (usize, usize), fields: [&[f32]; 4]) -> bool {
    match_target! {
        "x86_64+avx2+fma+f16c" => {
            super::halves_x86::normalize_runs(x, y, runs, fields);
            true
        }
        _ => {
            let _ = (x, y, runs, fields);
            false
        }
    }
}

/// As [`InputGradient`](super::runs::InputGradient) of one row.
#[multiversion(targets("x86_64+avx2+fma+f16c"))]
pub(super) fn gradient_runs(
    tensors: (&[f16], &[f16]),
    dx: &mut [f16],
    runs: (usize, usize),
    fields: [&[f32]; 5],
) -> bool {
    match_target! {
        "x86_64+avx2+fma+f16c" => {
            super::halves_x86::gradient_runs(tensors, dx, runs, fields);
            true
        }
        _ => {
            let _ = (tensors, dx, runs, fields);
            false
        }
    }
}

/// As [`Normalize`](super::columns::Normalize).
#[multiversion(targets("x86_64+avx2+fma+f16c"))]
pub(super) fn normalize_rows(
    x: &[f16],
    y: &mut [f16],
    layout: Layout,
    stride: usize,
    fields: [&[f32]; 4],
) -> bool {
    match_target! {
        "x86_64+avx2+fma+f16c" => {
            super::halves_x86::normalize_rows(x, y, layout, stride, fields);
            true
        }
        _ => {
            let _ = (x, y, layout, stride, fields);
            false
        }
    }
}

/// As [`InputGradient`](super::columns::InputGradient).
#[multiversion(targets("x86_64+avx2+fma+f16c"))]
pub(super) fn gradient_rows(
    tensors: (&[f16], &[f16]),
    dx: &mut [f16],
    layout: Layout,
    stride: usize,
    fields: [&[f32]; 5],
) -> bool {
    match_target! {
        "x86_64+avx2+fma+f16c" => {
            super::halves_x86::gradient_rows(tensors, dx, layout, stride, fields);
            true
        }
        _ => {
            let _ = (tensors, dx, layout, stride, fields);
            false
        }
    }
}

/// As [`AddMoments`](super::runs::AddMoments) of one row.
#[multiversion(targets("x86_64+avx2+fma+f16c"))]
pub(super) fn add_moments_runs(x: &[f16], run: usize, pivots: &[f32], lanes: &mut [Lanes]) -> bool {
    match_target! {
        "x86_64+avx2+fma+f16c" => {
            super::halves_x86_sums::add_moments_runs(x, run, pivots, lanes);
            true
        }
        _ => {
            let _ = (x, run, pivots, lanes);
            false
        }
    }
}

/// As [`AddGradients`](super::runs::AddGradients) of one row.
#[multiversion(targets("x86_64+avx2+fma+f16c"))]
pub(super) fn add_gradients_runs(
    tensors: (&[f16], &[f16]),
    run: usize,
    fields: [&[f32]; 2],
    lanes: &mut [Lanes],
) -> bool {
    match_target! {
        "x86_64+avx2+fma+f16c" => {
            super::halves_x86_sums::add_gradients_runs(tensors, run, fields, lanes);
            true
        }
        _ => {
            let _ = (tensors, run, fields, lanes);
            false
        }
    }
}

/// As [`AddMoments`](super::columns::AddMoments).
#[multiversion(targets("x86_64+avx2+fma+f16c"))]
pub(super) fn add_moments_rows(
    x: &[f16],
    layout: Layout,
    pivots: &[f32],
    sums: &mut [f32],
    squares: &mut [f32],
) -> bool {
    match_target! {
        "x86_64+avx2+fma+f16c" => {
            super::halves_x86_sums::add_moments_rows(x, layout, pivots, sums, squares);
            true
        }
        _ => {
            let _ = (x, layout, pivots, sums, squares);
            false
        }
    }
}

/// As [`AddGradients`](super::columns::AddGradients).
#[multiversion(targets("x86_64+avx2+fma+f16c"))]
pub(super) fn add_gradients_rows(
    tensors: (&[f16], &[f16]),
    layout: Layout,
    fields: [&[f32]; 2],
    sums: &mut [f32],
    products: &mut [f32],
) -> bool {
    match_target! {
        "x86_64+avx2+fma+f16c" => {
            super::halves_x86_sums::add_gradients_rows(tensors, layout, fields, sums, products);
            true
        }
        _ => {
            let _ = (tensors, layout, fields, sums, products);
            false
        }
    }
}

/// Eight values at a time. The crate `half` uses the same instructions, but calls a function for each eight values.
#[cfg(target_arch = "x86_64")]
mod by_eight {
    use std::arch::x86_64::{_MM_FROUND_TO_NEAREST_INT, _mm256_cvtph_ps, _mm256_cvtps_ph};

    use half::f16;

    #[target_feature(enable = "avx,f16c")]
    pub(super) fn widen(values: &[f16], wide: &mut [f32]) {
        let (chunks, mut wides) = (values.chunks_exact(8), wide.chunks_exact_mut(8));
        let rest = chunks.remainder();
        for (values, wide) in chunks.zip(&mut wides) {
            let mut eight = [f16::ZERO; 8];
            eight.copy_from_slice(values);
            let eight: [f32; 8] = bytemuck::cast(_mm256_cvtph_ps(bytemuck::cast(eight)));
            wide.copy_from_slice(&eight);
        }
        let mut eight = [f16::ZERO; 8];
        eight[..rest.len()].copy_from_slice(rest);
        let eight: [f32; 8] = bytemuck::cast(_mm256_cvtph_ps(bytemuck::cast(eight)));
        wides.into_remainder().copy_from_slice(&eight[..rest.len()]);
    }

    #[target_feature(enable = "avx,f16c")]
    pub(super) fn narrow(wide: &[f32], values: &mut [f16]) {
        let (wides, mut chunks) = (wide.chunks_exact(8), values.chunks_exact_mut(8));
        let rest = wides.remainder();
        for (wide, values) in wides.zip(&mut chunks) {
            let mut eight = [0.0; 8];
            eight.copy_from_slice(wide);
            let eight: [f16; 8] =
                bytemuck::cast(_mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(bytemuck::cast(eight)));
            values.copy_from_slice(&eight);
        }
        let mut eight = [0.0; 8];
        eight[..rest.len()].copy_from_slice(rest);
        let eight: [f16; 8] =
            bytemuck::cast(_mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(bytemuck::cast(eight)));
        chunks.into_remainder().copy_from_slice(&eight[..rest.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ways as the crate `half` has them, bit by bit, for every f16 and for what lies about the middle between
    /// neighbours.
    #[test]
    fn converts_exactly() {
        let halves: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).collect();
        let mut wide = vec![0.0f32; halves.len()];
        widen(&halves, &mut wide);
        for (half, wide) in halves.iter().zip(&wide) {
            assert!(half.to_f32() == *wide || half.is_nan() && wide.is_nan(), "{half:?}");
        }
        let near = |bits: u32| (bits - 3..bits + 3).map(f32::from_bits);
        // Every f32 with a mantissa of the f16's 10 bits, one more for the middle, and what is about it.
        let values: Vec<f32> = (1..0x000f_f800).flat_map(|high| near(high << 12)).collect();
        let values: Vec<f32> = values.iter().flat_map(|&value| [value, -value]).collect();
        let mut narrowed = vec![f16::ZERO; values.len()];
        narrow(&values, &mut narrowed);
        for (value, narrowed) in values.iter().zip(&narrowed) {
            let expected = f16::from_f32(*value);
            assert!(
                expected.to_bits() == narrowed.to_bits() || value.is_nan() && narrowed.is_nan(),
                "{value:e}"
            );
        }
    }
}
