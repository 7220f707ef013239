//! Vector kernels over columns: neighbouring values belong to different channels, and one channel's lie below each
//! other. Each column has its own sums and parameters.

use pulp::{Simd, WithSimd};

use super::element::{Rows, RowsMut};

/// Rows that are gone through at once, so that a column's parameters and sums are loaded once for all of them, and fewer
/// additions follow on each other.
const DEPTH: usize = 8;

/// The same for two tensors, whose rows take twice the registers.
const PAIRED_DEPTH: usize = 4;

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
        let rows: [&[f32]; N] = std::array::from_fn(|n| self.x.row(first + n));
        let vectors = rows.map(|row| S::as_simd_f32s(row).0);
        let width = vectors[0].len();
        let pivots = &S::as_simd_f32s(self.pivots).0[..width];
        let sums = &mut S::as_mut_simd_f32s(self.sums).0[..width];
        let squares = &mut S::as_mut_simd_f32s(self.squares).0[..width];
        for j in 0..width {
            let (mut sum, mut square) = (simd.splat_f32s(0.0), simd.splat_f32s(0.0));
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
        let xs: [&[f32]; N] = std::array::from_fn(|n| self.x.row(first + n));
        let dys: [&[f32]; N] = std::array::from_fn(|n| self.dy.row(first + n));
        let (xv, dyv) = (xs.map(|row| S::as_simd_f32s(row).0), dys.map(|row| S::as_simd_f32s(row).0));
        let width = xv[0].len();
        let dyv = dyv.map(|row| &row[..width]);
        let [p, d] = self.fields.map(|field| &S::as_simd_f32s(field).0[..width]);
        let sums = &mut S::as_mut_simd_f32s(self.sums).0[..width];
        let products = &mut S::as_mut_simd_f32s(self.products).0[..width];
        for j in 0..width {
            let (mut sum, mut product) = (simd.splat_f32s(0.0), simd.splat_f32s(0.0));
            for (x, dy) in xv.iter().zip(&dyv) {
                let centered = simd.sub_f32s(simd.sub_f32s(x[j], p[j]), d[j]);
                sum = simd.add_f32s(sum, dy[j]);
                product = simd.mul_add_e_f32s(dy[j], centered, product);
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

/// `((x - pivot) - difference) * invstd * gamma + beta`, by those fields.
pub(super) struct Normalize<'a> {
    pub x: Rows<'a>,
    pub y: RowsMut<'a>,
    pub fields: [&'a [f32]; 5],
}

impl WithSimd for Normalize<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let [p, d, i, g, b] = self.fields;
        let [ps, ds, is, gs, bs] = self.fields.map(|field| S::as_simd_f32s(field).0);
        for row in 0..self.x.count {
            let (x, y) = (self.x.row(row), self.y.row(row));
            let first = x.len() / S::F32_LANES * S::F32_LANES;
            for j in first..x.len() {
                y[j] = ((x[j] - p[j]) - d[j]) * i[j] * g[j] + b[j];
            }
            let (xs, ys) = (S::as_simd_f32s(x).0, S::as_mut_simd_f32s(y).0);
            let fields = ps.iter().zip(ds).zip(is).zip(gs).zip(bs);
            for ((x, y), ((((p, d), i), g), b)) in xs.iter().zip(ys).zip(fields) {
                let x_hat = simd.mul_f32s(simd.sub_f32s(simd.sub_f32s(*x, *p), *d), *i);
                *y = simd.mul_add_e_f32s(x_hat, *g, *b);
            }
        }
    }
}

/// `(dy - mean_dy - (x - mean) * slope) * invstd * gamma`; the fields are pivot, difference, invstd, gamma, mean_dy
/// and slope.
pub(super) struct InputGradient<'a> {
    pub x: Rows<'a>,
    pub dy: Rows<'a>,
    pub dx: RowsMut<'a>,
    pub fields: [&'a [f32]; 6],
}

impl WithSimd for InputGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let [p, d, i, g, m, k] = self.fields;
        let [ps, ds, is, gs, ms, ks] = self.fields.map(|field| S::as_simd_f32s(field).0);
        for row in 0..self.x.count {
            let (x, dy, dx) = (self.x.row(row), self.dy.row(row), self.dx.row(row));
            let first = x.len() / S::F32_LANES * S::F32_LANES;
            for j in first..x.len() {
                dx[j] = ((dy[j] - m[j]) - ((x[j] - p[j]) - d[j]) * k[j]) * i[j] * g[j];
            }
            let (xs, dys, dxs) = (S::as_simd_f32s(x).0, S::as_simd_f32s(dy).0, S::as_mut_simd_f32s(dx).0);
            let fields = ps.iter().zip(ds).zip(is).zip(gs).zip(ms).zip(ks);
            for (((x, dy), dx), (((((p, d), i), g), m), k)) in xs.iter().zip(dys).zip(dxs).zip(fields) {
                let centered = simd.sub_f32s(simd.sub_f32s(*x, *p), *d);
                let left = simd.negate_mul_add_e_f32s(centered, *k, simd.sub_f32s(*dy, *m));
                *dx = simd.mul_f32s(simd.mul_f32s(left, *i), *g);
            }
        }
    }
}
