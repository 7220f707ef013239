//! Vector kernels over columns: neighbouring values belong to different channels, and one channel's lie below each
//! other. Each column has its own sums and parameters.

use pulp::{Arch, Simd, WithSimd};

use super::cache::prefetch_ahead;
use super::element::{Rows, RowsMut};
use super::moments::is_far;
use super::parameters::Fields;

/// Rows that are gone through at once, so that a column's parameters and sums are loaded once for all of them, and fewer
/// additions follow on each other.
pub(super) const DEPTH: usize = 8;

/// The same for two tensors. A power of two may lie between rows, so that those of all tensors compete for the same 8 or
/// 12 places in the nearest cache.
pub(super) const PAIRED_DEPTH: usize = 4;

/// The vectors that f32 is computed in. With AVX-512 outputs took up to 1.9 times as long as with AVX2: what lies on no
/// boundary of 64 bytes lies in two cache lines each time.
pub(super) fn arch() -> Arch {
    #[cfg(target_arch = "x86_64")]
    return pulp::x86::V3::try_new().map_or(Arch::Scalar, Arch::V3);
    #[cfg(not(target_arch = "x86_64"))]
    Arch::new()
}

/// Adds `x - pivot` and its square, column by column.
pub(super) struct AddMoments<'a> {
    pub x: Rows<'a>,
    pub pivots: &'a [f32],
    pub sums: &'a mut [f32],
    pub squares: &'a mut [f32],
}

impl AddMoments<'_> {
    #[inline(always)]
    fn rows<S: Simd, const N: usize>(&mut self, simd: S, first: usize) {
        let width = self.x.width / S::F32_LANES;
        let (mut rows, mut vectors): ([&[f32]; N], [&[S::f32s]; N]) = ([&[]; N], [&[]; N]);
        for n in 0..N {
            rows[n] = self.x.row(first + n);
            vectors[n] = &S::as_simd_f32s(rows[n]).0[..width];
        }
        let pivots = &S::as_simd_f32s(self.pivots).0[..width];
        let sums = &mut S::as_mut_simd_f32s(self.sums).0[..width];
        let squares = &mut S::as_mut_simd_f32s(self.squares).0[..width];
        // As many rows on: no processor foresees so many streams.
        let ahead = N * self.x.stride / S::F32_LANES;
        for j in 0..width {
            let (mut sum, mut square) = (simd.splat_f32s(0.0), simd.splat_f32s(0.0));
            for row in &vectors {
                prefetch_ahead(&row[j..], ahead);
            }
            for row in &vectors {
                let d = simd.sub_f32s(row[j], pivots[j]);
                sum = simd.add_f32s(sum, d);
                square = simd.mul_add_e_f32s(d, d, square);
            }
            sums[j] = simd.add_f32s(sums[j], sum);
            squares[j] = simd.add_f32s(squares[j], square);
        }
        for j in width * S::F32_LANES..self.x.width {
            let (mut sum, mut square) = (0.0, 0.0);
            for row in &rows {
                let d = row[j] - self.pivots[j];
                sum += d;
                square += d * d;
            }
            self.sums[j] += sum;
            self.squares[j] += square;
        }
    }
}

impl WithSimd for AddMoments<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let deep = self.x.count / DEPTH * DEPTH;
        for first in (0..deep).step_by(DEPTH) {
            self.rows::<S, DEPTH>(simd, first);
        }
        for first in deep..self.x.count {
            self.rows::<S, 1>(simd, first);
        }
    }
}

/// Adds up the columns of each channel, runs of `inner` columns that belong to the channels in turn, round and round.
pub(super) struct Totals<'a> {
    pub columns: &'a [f32],
    pub inner: usize,
    pub totals: &'a mut [f64],
}

impl WithSimd for Totals<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { columns, inner, totals } = self;
        if columns.len() == totals.len() {
            for (total, &column) in totals.iter_mut().zip(columns) {
                *total = column.into();
            }
            return;
        }
        totals.fill(0.0);
        for row in columns.chunks(totals.len() * inner) {
            for (total, columns) in totals.iter_mut().zip(row.chunks(inner)) {
                for &column in columns {
                    *total += f64::from(column);
                }
            }
        }
    }
}

/// Whether [`is_far`] holds for any channel.
pub(super) struct AnyFar<'a> {
    pub count: f64,
    pub sums: &'a [f64],
    pub squares: &'a [f64],
}

impl WithSimd for AnyFar<'_> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        let channels = self.sums.iter().zip(self.squares);
        channels.fold(false, |any, (&sum, &square)| any | is_far(self.count, [sum, square]))
    }
}

/// Adds dy and `dy * (x - mean)`, column by column. `fields` are pivot and difference.
pub(super) struct AddGradients<'a> {
    pub x: Rows<'a>,
    pub dy: Rows<'a>,
    pub fields: [&'a [f32]; 2],
    pub sums: &'a mut [f32],
    pub products: &'a mut [f32],
}

impl AddGradients<'_> {
    #[inline(always)]
    fn rows<S: Simd, const N: usize>(&mut self, simd: S, first: usize) {
        let width = self.x.width / S::F32_LANES;
        let (mut xs, mut xv): ([&[f32]; N], [&[S::f32s]; N]) = ([&[]; N], [&[]; N]);
        let (mut dys, mut dyv) = (xs, xv);
        for n in 0..N {
            (xs[n], dys[n]) = (self.x.row(first + n), self.dy.row(first + n));
            xv[n] = &S::as_simd_f32s(xs[n]).0[..width];
            dyv[n] = &S::as_simd_f32s(dys[n]).0[..width];
        }
        let p = &S::as_simd_f32s(self.fields[0]).0[..width];
        let d = &S::as_simd_f32s(self.fields[1]).0[..width];
        let sums = &mut S::as_mut_simd_f32s(self.sums).0[..width];
        let products = &mut S::as_mut_simd_f32s(self.products).0[..width];
        let ahead = N * self.x.stride / S::F32_LANES;
        for j in 0..width {
            let (mut sum, mut product) = (simd.splat_f32s(0.0), simd.splat_f32s(0.0));
            for n in 0..N {
                prefetch_ahead(&xv[n][j..], ahead);
                prefetch_ahead(&dyv[n][j..], ahead);
            }
            for n in 0..N {
                let centered = simd.sub_f32s(simd.sub_f32s(xv[n][j], p[j]), d[j]);
                sum = simd.add_f32s(sum, dyv[n][j]);
                product = simd.mul_add_e_f32s(dyv[n][j], centered, product);
            }
            sums[j] = simd.add_f32s(sums[j], sum);
            products[j] = simd.add_f32s(products[j], product);
        }
        let [p, d] = self.fields;
        for j in width * S::F32_LANES..self.x.width {
            let (mut sum, mut product) = (0.0, 0.0);
            for (x, dy) in xs.iter().zip(&dys) {
                sum += dy[j];
                product += dy[j] * ((x[j] - p[j]) - d[j]);
            }
            self.sums[j] += sum;
            self.products[j] += product;
        }
    }
}

impl WithSimd for AddGradients<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let deep = self.x.count / PAIRED_DEPTH * PAIRED_DEPTH;
        for first in (0..deep).step_by(PAIRED_DEPTH) {
            self.rows::<S, PAIRED_DEPTH>(simd, first);
        }
        for first in deep..self.x.count {
            self.rows::<S, 1>(simd, first);
        }
    }
}

/// `(x - pivot) * rest * scale + shift`, by those fields.
pub(super) struct Normalize<'a> {
    pub x: Rows<'a>,
    pub y: RowsMut<'a>,
    pub fields: Fields<'a, 3>,
}

impl WithSimd for Normalize<'_> {
    type Output = ();

    /// Row by row: more streams of memory at once cost more than loading the fields again.
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Fields { each: [p, s, b], rest } = self.fields;
        let width = self.x.width / S::F32_LANES;
        let (ps, ss) = (&S::as_simd_f32s(p).0[..width], &S::as_simd_f32s(s).0[..width]);
        let (bs, rests) =
            (&S::as_simd_f32s(b).0[..width], rest.map(|rest| &S::as_simd_f32s(rest).0[..width]));
        for row in 0..self.x.count {
            let (x, y) = (self.x.row(row), self.y.row(row));
            for j in width * S::F32_LANES..x.len() {
                y[j] = (x[j] - p[j]) * rest.map_or(1.0, |rest| rest[j]) * s[j] + b[j];
            }
            let (x, y) = (&S::as_simd_f32s(x).0[..width], &mut S::as_mut_simd_f32s(y).0[..width]);
            if let Some(rests) = rests {
                for j in 0..width {
                    let scaled = simd.mul_f32s(simd.sub_f32s(x[j], ps[j]), rests[j]);
                    y[j] = simd.mul_add_e_f32s(scaled, ss[j], bs[j]);
                }
            } else {
                for j in 0..width {
                    y[j] = simd.mul_add_e_f32s(simd.sub_f32s(x[j], ps[j]), ss[j], bs[j]);
                }
            }
        }
    }
}

/// `(dy - (x - pivot) * slope - shift) * rest * scale`, by those fields.
pub(super) struct InputGradient<'a> {
    pub x: Rows<'a>,
    pub dy: Rows<'a>,
    pub dx: RowsMut<'a>,
    pub fields: Fields<'a, 4>,
}

impl WithSimd for InputGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Fields { each: [p, k, m, s], rest } = self.fields;
        let width = self.x.width / S::F32_LANES;
        let (ps, ks) = (&S::as_simd_f32s(p).0[..width], &S::as_simd_f32s(k).0[..width]);
        let (ms, ss) = (&S::as_simd_f32s(m).0[..width], &S::as_simd_f32s(s).0[..width]);
        let rests = rest.map(|rest| &S::as_simd_f32s(rest).0[..width]);
        for row in 0..self.x.count {
            let (x, dy, dx) = (self.x.row(row), self.dy.row(row), self.dx.row(row));
            for j in width * S::F32_LANES..x.len() {
                let left = (dy[j] - (x[j] - p[j]) * k[j]) - m[j];
                dx[j] = left * rest.map_or(1.0, |rest| rest[j]) * s[j];
            }
            let (x, dy) = (&S::as_simd_f32s(x).0[..width], &S::as_simd_f32s(dy).0[..width]);
            let dx = &mut S::as_mut_simd_f32s(dx).0[..width];
            if let Some(rests) = rests {
                for j in 0..width {
                    let left = simd.negate_mul_add_e_f32s(simd.sub_f32s(x[j], ps[j]), ks[j], dy[j]);
                    let left = simd.sub_f32s(left, ms[j]);
                    dx[j] = simd.mul_f32s(simd.mul_f32s(left, rests[j]), ss[j]);
                }
            } else {
                for j in 0..width {
                    let left = simd.negate_mul_add_e_f32s(simd.sub_f32s(x[j], ps[j]), ks[j], dy[j]);
                    dx[j] = simd.mul_f32s(simd.sub_f32s(left, ms[j]), ss[j]);
                }
            }
        }
    }
}
