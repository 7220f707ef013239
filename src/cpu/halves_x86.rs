//! Outputs in f16 by the instructions of x86-64: each value is converted, computed and rounded in registers. The same
//! operations in the same order as the kernels for f32 have with AVX2, so that results are theirs rounded once.

use std::arch::x86_64::{
    __m256, _MM_FROUND_TO_NEAREST_INT, _mm256_cvtph_ps, _mm256_cvtps_ph, _mm256_fmadd_ps, _mm256_fnmadd_ps,
    _mm256_mul_ps, _mm256_set1_ps, _mm256_sub_ps,
};

use half::f16;

use super::element::Layout;

const LANES: usize = 8;

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn load(values: &[f16; LANES]) -> __m256 {
    _mm256_cvtph_ps(bytemuck::cast(*values))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn store(values: &mut [f16; LANES], wide: __m256) {
    *values = bytemuck::cast(_mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(wide));
}

/// The eight values from an index on.
#[inline]
fn at<T>(values: &[T], index: usize) -> Option<&[T; LANES]> {
    values.get(index..)?.first_chunk()
}

/// `(x - pivot) * invstd * gamma + shift`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn normalized(x: __m256, [p, i, g, b]: [__m256; 4]) -> __m256 {
    _mm256_fmadd_ps(_mm256_mul_ps(_mm256_sub_ps(x, p), i), g, b)
}

/// `(dy - (x - pivot) * slope - shift) * invstd * gamma`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn differentiated(x: __m256, dy: __m256, [p, k, m, i, g]: [__m256; 5]) -> __m256 {
    let left = _mm256_sub_ps(_mm256_fnmadd_ps(_mm256_sub_ps(x, p), k, dy), m);
    _mm256_mul_ps(_mm256_mul_ps(left, i), g)
}

/// Runs of one channel each, of eight values at least; otherwise as `runs::Normalize`.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn normalize_runs(x: &[f16], y: &mut [f16], (run, first): (usize, usize), fields: [&[f32]; 4]) {
    let [pivot, invstd, gamma, shift] = fields;
    let mut c = first;
    for (x, y) in x.chunks(run).zip(y.chunks_mut(run)) {
        let fields = [
            _mm256_set1_ps(pivot[c]),
            _mm256_set1_ps(invstd[c]),
            _mm256_set1_ps(gamma[c]),
            _mm256_set1_ps(shift[c]),
        ];
        c = if c + 1 == pivot.len() { 0 } else { c + 1 };
        // The last eight values overlap those before them.
        if let (Some(x), Some(y)) = (x.last_chunk(), y.last_chunk_mut()) {
            store(y, normalized(load(x), fields));
        }
        let eights = x.chunks_exact(LANES).zip(y.chunks_exact_mut(LANES));
        for (x, y) in eights {
            if let (Some(x), Some(y)) = (x.first_chunk(), y.first_chunk_mut()) {
                store(y, normalized(load(x), fields));
            }
        }
    }
}

/// Otherwise as `runs::InputGradient`.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn gradient_runs(
    (x, dy): (&[f16], &[f16]),
    dx: &mut [f16],
    (run, first): (usize, usize),
    fields: [&[f32]; 5],
) {
    let [pivot, slope, shift, invstd, gamma] = fields;
    let mut c = first;
    for ((x, dy), dx) in x.chunks(run).zip(dy.chunks(run)).zip(dx.chunks_mut(run)) {
        let fields = [
            _mm256_set1_ps(pivot[c]),
            _mm256_set1_ps(slope[c]),
            _mm256_set1_ps(shift[c]),
            _mm256_set1_ps(invstd[c]),
            _mm256_set1_ps(gamma[c]),
        ];
        c = if c + 1 == pivot.len() { 0 } else { c + 1 };
        if let (Some(x), Some(dy), Some(dx)) = (x.last_chunk(), dy.last_chunk(), dx.last_chunk_mut()) {
            store(dx, differentiated(load(x), load(dy), fields));
        }
        let eights = x.chunks_exact(LANES).zip(dy.chunks_exact(LANES)).zip(dx.chunks_exact_mut(LANES));
        for ((x, dy), dx) in eights {
            if let (Some(x), Some(dy), Some(dx)) = (x.first_chunk(), dy.first_chunk(), dx.first_chunk_mut()) {
                store(dx, differentiated(load(x), load(dy), fields));
            }
        }
    }
}

/// As `columns::Normalize`.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn normalize_rows(x: &[f16], y: &mut [f16], layout: Layout, fields: [&[f32]; 4]) {
    let Layout { stride, count, width } = layout;
    for start in (0..count).map(|row| row * stride) {
        normalize_row(&x[start..][..width], &mut y[start..][..width], fields);
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn normalize_row(x: &[f16], y: &mut [f16], fields: [&[f32]; 4]) {
    let [p, i, g, b] = fields;
    let eights = x.chunks_exact(LANES).zip(y.chunks_exact_mut(LANES)).enumerate();
    for (j, (x, y)) in eights {
        let j = j * LANES;
        if let (Some(x), Some(y), Some(p), Some(i), Some(g), Some(b)) =
            (x.first_chunk(), y.first_chunk_mut(), at(p, j), at(i, j), at(g, j), at(b, j))
        {
            let fields = [bytemuck::cast(*p), bytemuck::cast(*i), bytemuck::cast(*g), bytemuck::cast(*b)];
            store(y, normalized(load(x), fields));
        }
    }
    for j in x.len() / LANES * LANES..x.len() {
        y[j] = f16::from_f32((x[j].to_f32() - p[j]) * i[j] * g[j] + b[j]);
    }
}

/// As `columns::InputGradient`.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn gradient_rows((x, dy): (&[f16], &[f16]), dx: &mut [f16], layout: Layout, fields: [&[f32]; 5]) {
    let Layout { stride, count, width } = layout;
    for start in (0..count).map(|row| row * stride) {
        let tensors = (&x[start..][..width], &dy[start..][..width]);
        gradient_row(tensors, &mut dx[start..][..width], fields);
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn gradient_row((x, dy): (&[f16], &[f16]), dx: &mut [f16], fields: [&[f32]; 5]) {
    let [p, k, m, i, g] = fields;
    let eights = x.chunks_exact(LANES).zip(dy.chunks_exact(LANES)).zip(dx.chunks_exact_mut(LANES));
    for (j, ((x, dy), dx)) in eights.enumerate() {
        let j = j * LANES;
        if let (Some(x), Some(dy), Some(dx)) = (x.first_chunk(), dy.first_chunk(), dx.first_chunk_mut()) {
            if let (Some(p), Some(k), Some(m), Some(i), Some(g)) =
                (at(p, j), at(k, j), at(m, j), at(i, j), at(g, j))
            {
                let fields = [
                    bytemuck::cast(*p),
                    bytemuck::cast(*k),
                    bytemuck::cast(*m),
                    bytemuck::cast(*i),
                    bytemuck::cast(*g),
                ];
                store(dx, differentiated(load(x), load(dy), fields));
            }
        }
    }
    for j in x.len() / LANES * LANES..x.len() {
        let (x, dy) = (x[j].to_f32(), dy[j].to_f32());
        dx[j] = f16::from_f32(((dy - (x - p[j]) * k[j]) - m[j]) * i[j] * g[j]);
    }
}
