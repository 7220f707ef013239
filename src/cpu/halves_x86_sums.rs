//! Sums over f16 by the instructions of x86-64; otherwise as the outputs.

use std::arch::x86_64::{
    __m256, _mm256_add_ps, _mm256_and_ps, _mm256_fmadd_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_sub_ps,
};

use half::f16;

use super::columns::{DEPTH, PAIRED_DEPTH};
use super::element::Layout;
use super::halves::LANES;
use super::halves_x86::{eights, eights_mut, load};
use super::runs::{CHAINS, DEEPEST, Lanes, SHORT};

/// Adds `x - pivot` and its square.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn add_moment([sum, square]: &mut [__m256; 2], x: __m256, pivot: __m256) {
    let d = _mm256_sub_ps(x, pivot);
    *sum = _mm256_add_ps(*sum, d);
    *square = _mm256_fmadd_ps(d, d, *square);
}

/// Adds dy and `dy * (x - mean)`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn add_gradient([sum, product]: &mut [__m256; 2], (x, dy): (__m256, __m256), [p, d]: [__m256; 2]) {
    let centered = _mm256_sub_ps(_mm256_sub_ps(x, p), d);
    *sum = _mm256_add_ps(*sum, dy);
    *product = _mm256_fmadd_ps(dy, centered, *product);
}

/// Adds the two sums of a chain to those of the lanes.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn add_chain(lanes: &mut Lanes, chain: usize, [first, second]: [__m256; 2]) {
    for (to, sum) in [(&mut lanes.first, first), (&mut lanes.second, second)] {
        let to: &mut [f32; LANES] = &mut eights_mut(to, CHAINS)[chain];
        *to = bytemuck::cast(_mm256_add_ps(bytemuck::cast(*to), sum));
    }
}

/// As `runs::AddMoments` of one row.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn add_moments_runs(x: &[f16], run: usize, pivots: &[f32], lanes: &mut [Lanes]) {
    let fresh = fresh(run);
    for ((x, &pivot), lanes) in x.chunks_exact(run).zip(pivots).zip(lanes) {
        let pivot = _mm256_set1_ps(pivot);
        let vectors = eights(x, x.len() / LANES);
        if vectors.len() <= SHORT {
            let mut sums = [[_mm256_setzero_ps(); 2]; 2];
            let pairs = vectors.chunks_exact(2);
            if let [x] = pairs.remainder() {
                add_moment(&mut sums[0], load(x), pivot);
            }
            for pair in pairs {
                add_moment(&mut sums[0], load(&pair[0]), pivot);
                add_moment(&mut sums[1], load(&pair[1]), pivot);
            }
            add_chain(lanes, 0, sums[0]);
            add_chain(lanes, 1, sums[1]);
        } else {
            for vectors in vectors.chunks(CHAINS * DEEPEST) {
                let mut sums = [[_mm256_setzero_ps(); 2]; CHAINS];
                let blocks = vectors.chunks_exact(CHAINS);
                let odd = blocks.remainder();
                for block in blocks {
                    for k in 0..CHAINS {
                        add_moment(&mut sums[k], load(&block[k]), pivot);
                    }
                }
                for (sums, x) in sums.iter_mut().zip(odd) {
                    add_moment(sums, load(x), pivot);
                }
                for (chain, sums) in sums.into_iter().enumerate() {
                    add_chain(lanes, chain, sums);
                }
            }
        }
        if let (Some(fresh), Some(x)) = (fresh, x.last_chunk()) {
            let d = _mm256_and_ps(fresh, _mm256_sub_ps(load(x), pivot));
            add_chain(lanes, 3, [d, _mm256_setzero_ps()]);
            let squares: &mut [f32; LANES] = &mut eights_mut(&mut lanes.second, CHAINS)[3];
            *squares = bytemuck::cast(_mm256_fmadd_ps(d, d, bytemuck::cast(*squares)));
        }
    }
}

/// As `runs::AddGradients` of one row.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn add_gradients_runs(
    (x, dy): (&[f16], &[f16]),
    run: usize,
    [pivots, differences]: [&[f32]; 2],
    lanes: &mut [Lanes],
) {
    let fresh = fresh(run);
    let tensors = x.chunks_exact(run).zip(dy.chunks_exact(run));
    for (c, ((x, dy), lanes)) in tensors.zip(lanes).enumerate() {
        let mean = [_mm256_set1_ps(pivots[c]), _mm256_set1_ps(differences[c])];
        let count = run / LANES;
        let (xs, dys) = (eights(x, count), eights(dy, count));
        if count <= SHORT {
            let mut sums = [[_mm256_setzero_ps(); 2]; 2];
            let (x_pairs, dy_pairs) = (xs.chunks_exact(2), dys.chunks_exact(2));
            if let ([x], [dy]) = (x_pairs.remainder(), dy_pairs.remainder()) {
                add_gradient(&mut sums[0], (load(x), load(dy)), mean);
            }
            for (x, dy) in x_pairs.zip(dy_pairs) {
                add_gradient(&mut sums[0], (load(&x[0]), load(&dy[0])), mean);
                add_gradient(&mut sums[1], (load(&x[1]), load(&dy[1])), mean);
            }
            add_chain(lanes, 0, sums[0]);
            add_chain(lanes, 1, sums[1]);
        } else {
            for (xs, dys) in xs.chunks(CHAINS * DEEPEST).zip(dys.chunks(CHAINS * DEEPEST)) {
                let mut sums = [[_mm256_setzero_ps(); 2]; CHAINS];
                let (x_blocks, dy_blocks) = (xs.chunks_exact(CHAINS), dys.chunks_exact(CHAINS));
                let odd = x_blocks.remainder().iter().zip(dy_blocks.remainder());
                for (x, dy) in x_blocks.zip(dy_blocks) {
                    for k in 0..CHAINS {
                        add_gradient(&mut sums[k], (load(&x[k]), load(&dy[k])), mean);
                    }
                }
                for (sums, (x, dy)) in sums.iter_mut().zip(odd) {
                    add_gradient(sums, (load(x), load(dy)), mean);
                }
                for (chain, sums) in sums.into_iter().enumerate() {
                    add_chain(lanes, chain, sums);
                }
            }
        }
        if let (Some(fresh), Some(x), Some(dy)) = (fresh, x.last_chunk(), dy.last_chunk()) {
            let centered = _mm256_sub_ps(_mm256_sub_ps(load(x), mean[0]), mean[1]);
            let (dy, centered) = (_mm256_and_ps(fresh, load(dy)), _mm256_and_ps(fresh, centered));
            add_chain(lanes, 3, [dy, _mm256_setzero_ps()]);
            let products: &mut [f32; LANES] = &mut eights_mut(&mut lanes.second, CHAINS)[3];
            *products = bytemuck::cast(_mm256_fmadd_ps(dy, centered, bytemuck::cast(*products)));
        }
    }
}

/// The values of a run's last eight that are not in those before them, as a mask; `None` where eight divides the run.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn fresh(run: usize) -> Option<__m256> {
    let left = run % LANES;
    let lanes: [f32; LANES] =
        std::array::from_fn(|lane| f32::from_bits(if lane + left >= LANES { u32::MAX } else { 0 }));
    (left > 0).then(|| bytemuck::cast(lanes))
}

/// As `columns::AddMoments`.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn add_moments_rows(
    x: &[f16],
    of_x: Layout,
    pivots: &[f32],
    sums: &mut [f32],
    squares: &mut [f32],
) {
    let deep = of_x.count / DEPTH * DEPTH;
    for row in (0..deep).step_by(DEPTH) {
        add_moments_some::<DEPTH>(&x[row * of_x.stride..], of_x, pivots, sums, squares);
    }
    for row in deep..of_x.count {
        add_moments_some::<1>(&x[row * of_x.stride..], of_x, pivots, sums, squares);
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn add_moments_some<const N: usize>(
    x: &[f16],
    Layout { stride, width, .. }: Layout,
    pivots: &[f32],
    sums: &mut [f32],
    squares: &mut [f32],
) {
    let count = width / LANES;
    let mut rows: [&[[f16; LANES]]; N] = [&[]; N];
    for n in 0..N {
        rows[n] = eights(&x[n * stride..][..width], count);
    }
    let pivot = eights(pivots, count);
    {
        let (sums, squares) = (eights_mut(sums, count), eights_mut(squares, count));
        for j in 0..count {
            let pivot = bytemuck::cast(pivot[j]);
            let mut both = [_mm256_setzero_ps(); 2];
            for row in &rows {
                add_moment(&mut both, load(&row[j]), pivot);
            }
            sums[j] = bytemuck::cast(_mm256_add_ps(bytemuck::cast(sums[j]), both[0]));
            squares[j] = bytemuck::cast(_mm256_add_ps(bytemuck::cast(squares[j]), both[1]));
        }
    }
    for j in count * LANES..width {
        let (mut sum, mut square) = (0.0, 0.0);
        for n in 0..N {
            let d = x[n * stride + j].to_f32() - pivots[j];
            sum += d;
            square += d * d;
        }
        sums[j] += sum;
        squares[j] += square;
    }
}

/// As `columns::AddGradients`.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn add_gradients_rows(
    (x, dy): (&[f16], &[f16]),
    of_x: Layout,
    fields: [&[f32]; 2],
    sums: &mut [f32],
    products: &mut [f32],
) {
    let deep = of_x.count / PAIRED_DEPTH * PAIRED_DEPTH;
    for row in (0..deep).step_by(PAIRED_DEPTH) {
        let tensors = (&x[row * of_x.stride..], &dy[row * of_x.stride..]);
        add_gradients_some::<PAIRED_DEPTH>(tensors, of_x, fields, sums, products);
    }
    for row in deep..of_x.count {
        let tensors = (&x[row * of_x.stride..], &dy[row * of_x.stride..]);
        add_gradients_some::<1>(tensors, of_x, fields, sums, products);
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn add_gradients_some<const N: usize>(
    (x, dy): (&[f16], &[f16]),
    Layout { stride, width, .. }: Layout,
    [p, d]: [&[f32]; 2],
    sums: &mut [f32],
    products: &mut [f32],
) {
    let count = width / LANES;
    let mut xs: [&[[f16; LANES]]; N] = [&[]; N];
    let mut dys = xs;
    for n in 0..N {
        xs[n] = eights(&x[n * stride..][..width], count);
        dys[n] = eights(&dy[n * stride..][..width], count);
    }
    let (pivot, difference) = (eights(p, count), eights(d, count));
    {
        let (sums, products) = (eights_mut(sums, count), eights_mut(products, count));
        for j in 0..count {
            let mean = [bytemuck::cast(pivot[j]), bytemuck::cast(difference[j])];
            let mut both = [_mm256_setzero_ps(); 2];
            for n in 0..N {
                add_gradient(&mut both, (load(&xs[n][j]), load(&dys[n][j])), mean);
            }
            sums[j] = bytemuck::cast(_mm256_add_ps(bytemuck::cast(sums[j]), both[0]));
            products[j] = bytemuck::cast(_mm256_add_ps(bytemuck::cast(products[j]), both[1]));
        }
    }
    for j in count * LANES..width {
        let (mut sum, mut product) = (0.0, 0.0);
        for n in 0..N {
            let (x, dy) = (x[n * stride + j].to_f32(), dy[n * stride + j].to_f32());
            sum += dy;
            product += dy * ((x - p[j]) - d[j]);
        }
        sums[j] += sum;
        products[j] += product;
    }
}
