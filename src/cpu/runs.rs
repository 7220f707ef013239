//! Vector kernels over runs: values of one channel that lie side by side.

use pulp::{Simd, WithSimd};

use super::element::{Rows, RowsMut};
use super::parameters::Fields;

/// Independent sums that one run goes into, so that additions need not wait for each other.
pub(super) const CHAINS: usize = 4;

/// Vectors that one chain adds up before it is added to the lanes: rounding grows with the additions in a row.
pub(super) const DEEPEST: usize = 32;

/// Vectors of a run that is too short for so many chains.
pub(super) const SHORT: usize = 32;

/// Room for four vectors of the widest kind.
const LANES: usize = 64;

/// Two sums of one channel, spread over lanes.
#[derive(Clone, Copy, Debug)]
pub struct Lanes {
    pub first: [f32; LANES],
    pub second: [f32; LANES],
}

impl Lanes {
    pub(super) const ZERO: Self = Self { first: [0.0; LANES], second: [0.0; LANES] };
}

/// The sums of each channel, over all lanes.
pub(super) struct Totals<'a> {
    pub lanes: &'a [Lanes],
    pub totals: &'a mut [[f64; 2]],
}

impl WithSimd for Totals<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (lanes, totals) in self.lanes.iter().zip(self.totals) {
            let total = |lanes: &[f32; LANES]| {
                // Those of f16 may have been added up in wider vectors than these.
                let (vectors, _) = S::as_simd_f32s(lanes);
                let pairs = vectors.chunks_exact(2).map(|pair| simd.add_f32s(pair[0], pair[1]));
                let sum = pairs.fold(simd.splat_f32s(0.0), |sum, pair| simd.add_f32s(sum, pair));
                f64::from(simd.reduce_sum_f32s(sum))
            };
            *totals = [total(&lanes.first), total(&lanes.second)];
        }
    }
}

/// The last vector of a run whose length is no multiple of a vector's: it overlaps the one before it, and what is
/// new in it is behind the mask. `None` where there is nothing left, or less than one vector altogether.
struct Tail<S: Simd> {
    start: usize,
    fresh: S::m32s,
}

impl<S: Simd> Tail<S> {
    #[inline(always)]
    fn of(simd: S, run: usize) -> Option<Self> {
        const IOTA: [f32; 16] = [0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.];
        let left = run % S::F32_LANES;
        if left == 0 || run < S::F32_LANES {
            return None;
        }
        let (lanes, _) = S::as_simd_f32s(&IOTA);
        let stale = simd.splat_f32s((S::F32_LANES - left) as f32);
        Some(Self { start: run - S::F32_LANES, fresh: simd.greater_than_or_equal_f32s(lanes[0], stale) })
    }
}

/// Adds `x - pivot` and its square to the lanes of each run's channel. Each row is one run of each channel.
pub(super) struct AddMoments<'a> {
    pub x: Rows<'a>,
    pub run: usize,
    pub pivots: &'a [f32],
    pub lanes: &'a mut [Lanes],
}

impl WithSimd for AddMoments<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let tail = Tail::of(simd, self.run);
        for row in 0..self.x.count {
            let runs = self.x.row(row).chunks_exact(self.run);
            for ((run, &pivot), lanes) in runs.zip(self.pivots).zip(self.lanes.iter_mut()) {
                let pivots = simd.splat_f32s(pivot);
                let (first, _) = S::as_mut_simd_f32s(&mut lanes.first);
                let (second, _) = S::as_mut_simd_f32s(&mut lanes.second);
                let (vectors, rest) = S::as_simd_f32s(run);
                // Two chains and no blocks where there is little to share out.
                let (short, long) =
                    if vectors.len() <= SHORT { (vectors, &[][..]) } else { (&[][..], vectors) };
                if !short.is_empty() {
                    let mut sums = [simd.splat_f32s(0.0); 2];
                    let mut squares = sums;
                    let pairs = short.chunks_exact(2);
                    if let [x] = pairs.remainder() {
                        let d = simd.sub_f32s(*x, pivots);
                        (sums[0], squares[0]) = (d, simd.mul_f32s(d, d));
                    }
                    for pair in pairs {
                        for k in 0..2 {
                            let d = simd.sub_f32s(pair[k], pivots);
                            sums[k] = simd.add_f32s(sums[k], d);
                            squares[k] = simd.mul_add_e_f32s(d, d, squares[k]);
                        }
                    }
                    for k in 0..2 {
                        first[k] = simd.add_f32s(first[k], sums[k]);
                        second[k] = simd.add_f32s(second[k], squares[k]);
                    }
                }
                for vectors in long.chunks(CHAINS * DEEPEST) {
                    let mut sums = [simd.splat_f32s(0.0); CHAINS];
                    let mut squares = sums;
                    let blocks = vectors.chunks_exact(CHAINS);
                    let odd = blocks.remainder();
                    for block in blocks {
                        for k in 0..CHAINS {
                            let d = simd.sub_f32s(block[k], pivots);
                            sums[k] = simd.add_f32s(sums[k], d);
                            squares[k] = simd.mul_add_e_f32s(d, d, squares[k]);
                        }
                    }
                    for (k, &x) in odd.iter().enumerate().take(CHAINS - 1) {
                        let d = simd.sub_f32s(x, pivots);
                        sums[k] = simd.add_f32s(sums[k], d);
                        squares[k] = simd.mul_add_e_f32s(d, d, squares[k]);
                    }
                    for k in 0..CHAINS {
                        first[k] = simd.add_f32s(first[k], sums[k]);
                        second[k] = simd.add_f32s(second[k], squares[k]);
                    }
                }
                if let Some(tail) = &tail {
                    let (last, _) = S::as_simd_f32s(&run[tail.start..]);
                    let d = simd.sub_f32s(last[0], pivots);
                    let d = simd.select_f32s(tail.fresh, d, simd.splat_f32s(0.0));
                    first[3] = simd.add_f32s(first[3], d);
                    second[3] = simd.mul_add_e_f32s(d, d, second[3]);
                }
                if tail.is_none() {
                    for (lane, &x) in rest.iter().enumerate() {
                        let d = x - pivot;
                        lanes.first[lane] += d;
                        lanes.second[lane] += d * d;
                    }
                }
            }
        }
    }
}

/// Adds dy and `dy * (x - mean)` to the lanes of each run's channel. `fields` are pivot and difference.
pub(super) struct AddGradients<'a> {
    pub x: Rows<'a>,
    pub dy: Rows<'a>,
    pub run: usize,
    pub fields: [&'a [f32]; 2],
    pub lanes: &'a mut [Lanes],
}

impl WithSimd for AddGradients<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let tail = Tail::of(simd, self.run);
        let [pivot, difference] = self.fields;
        for row in 0..self.x.count {
            let xs = self.x.row(row).chunks_exact(self.run);
            let dys = self.dy.row(row).chunks_exact(self.run);
            for (c, ((x, dy), lanes)) in xs.zip(dys).zip(self.lanes.iter_mut()).enumerate() {
                let [p, d] = [pivot[c], difference[c]];
                let (ps, ds) = (simd.splat_f32s(p), simd.splat_f32s(d));
                let (first, _) = S::as_mut_simd_f32s(&mut lanes.first);
                let (second, _) = S::as_mut_simd_f32s(&mut lanes.second);
                let (xv, x_rest) = S::as_simd_f32s(x);
                let (dyv, dy_rest) = S::as_simd_f32s(dy);
                let short = xv.len() <= SHORT;
                if short {
                    let mut sums = [simd.splat_f32s(0.0); 2];
                    let mut products = sums;
                    let (x_pairs, dy_pairs) = (xv.chunks_exact(2), dyv.chunks_exact(2));
                    if let ([x], [dy]) = (x_pairs.remainder(), dy_pairs.remainder()) {
                        let centered = simd.sub_f32s(simd.sub_f32s(*x, ps), ds);
                        (sums[0], products[0]) = (*dy, simd.mul_f32s(*dy, centered));
                    }
                    for (x, dy) in x_pairs.zip(dy_pairs) {
                        for k in 0..2 {
                            let centered = simd.sub_f32s(simd.sub_f32s(x[k], ps), ds);
                            sums[k] = simd.add_f32s(sums[k], dy[k]);
                            products[k] = simd.mul_add_e_f32s(dy[k], centered, products[k]);
                        }
                    }
                    for k in 0..2 {
                        first[k] = simd.add_f32s(first[k], sums[k]);
                        second[k] = simd.add_f32s(second[k], products[k]);
                    }
                }
                let (xv, dyv) = if short { (&[][..], &[][..]) } else { (xv, dyv) };
                for (xv, dyv) in xv.chunks(CHAINS * DEEPEST).zip(dyv.chunks(CHAINS * DEEPEST)) {
                    let mut sums = [simd.splat_f32s(0.0); CHAINS];
                    let mut products = sums;
                    let (xb, dyb) = (xv.chunks_exact(CHAINS), dyv.chunks_exact(CHAINS));
                    let odd = xb.remainder().iter().zip(dyb.remainder());
                    for (x, dy) in xb.zip(dyb) {
                        for k in 0..CHAINS {
                            let centered = simd.sub_f32s(simd.sub_f32s(x[k], ps), ds);
                            sums[k] = simd.add_f32s(sums[k], dy[k]);
                            products[k] = simd.mul_add_e_f32s(dy[k], centered, products[k]);
                        }
                    }
                    for (k, (&x, &dy)) in odd.enumerate().take(CHAINS - 1) {
                        let centered = simd.sub_f32s(simd.sub_f32s(x, ps), ds);
                        sums[k] = simd.add_f32s(sums[k], dy);
                        products[k] = simd.mul_add_e_f32s(dy, centered, products[k]);
                    }
                    for k in 0..CHAINS {
                        first[k] = simd.add_f32s(first[k], sums[k]);
                        second[k] = simd.add_f32s(second[k], products[k]);
                    }
                }
                if let Some(tail) = &tail {
                    let (x, _) = S::as_simd_f32s(&x[tail.start..]);
                    let (dy, _) = S::as_simd_f32s(&dy[tail.start..]);
                    let centered = simd.sub_f32s(simd.sub_f32s(x[0], ps), ds);
                    let zero = simd.splat_f32s(0.0);
                    let dy = simd.select_f32s(tail.fresh, dy[0], zero);
                    let centered = simd.select_f32s(tail.fresh, centered, zero);
                    first[3] = simd.add_f32s(first[3], dy);
                    second[3] = simd.mul_add_e_f32s(dy, centered, second[3]);
                }
                if tail.is_none() {
                    for (lane, (&x, &dy)) in x_rest.iter().zip(dy_rest).enumerate() {
                        lanes.first[lane] += dy;
                        lanes.second[lane] += dy * ((x - p) - d);
                    }
                }
            }
        }
    }
}

/// `(x - pivot) * rest * scale + shift`, by those fields. The runs of a row belong to the channels
/// from `first` on, round and round.
pub(super) struct Normalize<'a> {
    pub x: Rows<'a>,
    pub y: RowsMut<'a>,
    pub run: usize,
    pub first: usize,
    pub fields: Fields<'a, 3>,
}

impl WithSimd for Normalize<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let tail = Tail::of(simd, self.run);
        let Fields { each: [pivot, scale, shift], rest } = self.fields;
        let mut c = self.first;
        for row in 0..self.x.count {
            let runs = self.x.row(row).chunks_exact(self.run);
            for (x, y) in runs.zip(self.y.row(row).chunks_exact_mut(self.run)) {
                let (p, i, g, b) = (pivot[c], rest.map_or(1.0, |rest| rest[c]), scale[c], shift[c]);
                let (ps, is) = (simd.splat_f32s(p), simd.splat_f32s(i));
                let (gs, bs) = (simd.splat_f32s(g), simd.splat_f32s(b));
                c = if c + 1 == pivot.len() { 0 } else { c + 1 };
                if let Some(tail) = &tail {
                    let (x, _) = S::as_simd_f32s(&x[tail.start..]);
                    let (y, _) = S::as_mut_simd_f32s(&mut y[tail.start..]);
                    let x_hat = simd.mul_f32s(simd.sub_f32s(x[0], ps), is);
                    y[0] = simd.mul_add_e_f32s(x_hat, gs, bs);
                }
                let (xv, x_rest) = S::as_simd_f32s(x);
                let (yv, y_rest) = S::as_mut_simd_f32s(y);
                for (x, y) in xv.iter().zip(yv) {
                    let x_hat = simd.mul_f32s(simd.sub_f32s(*x, ps), is);
                    *y = simd.mul_add_e_f32s(x_hat, gs, bs);
                }
                if tail.is_none() {
                    for (x, y) in x_rest.iter().zip(y_rest) {
                        *y = (x - p) * i * g + b;
                    }
                }
            }
        }
    }
}

/// `(dy - (x - pivot) * slope - shift) * rest * scale`, by those fields; otherwise as [`Normalize`].
pub(super) struct InputGradient<'a> {
    pub x: Rows<'a>,
    pub dy: Rows<'a>,
    pub dx: RowsMut<'a>,
    pub run: usize,
    pub first: usize,
    pub fields: Fields<'a, 4>,
}

impl WithSimd for InputGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let tail = Tail::of(simd, self.run);
        let Fields { each: [pivot, slope, shift, scale], rest } = self.fields;
        let mut c = self.first;
        for row in 0..self.x.count {
            let xs = self.x.row(row).chunks_exact(self.run);
            let dys = self.dy.row(row).chunks_exact(self.run);
            for ((x, dy), dx) in xs.zip(dys).zip(self.dx.row(row).chunks_exact_mut(self.run)) {
                let (p, k, m) = (pivot[c], slope[c], shift[c]);
                let (i, g) = (rest.map_or(1.0, |rest| rest[c]), scale[c]);
                let (ps, ks, ms) = (simd.splat_f32s(p), simd.splat_f32s(k), simd.splat_f32s(m));
                let (is, gs) = (simd.splat_f32s(i), simd.splat_f32s(g));
                c = if c + 1 == pivot.len() { 0 } else { c + 1 };
                if let Some(tail) = &tail {
                    let (x, _) = S::as_simd_f32s(&x[tail.start..]);
                    let (dy, _) = S::as_simd_f32s(&dy[tail.start..]);
                    let (dx, _) = S::as_mut_simd_f32s(&mut dx[tail.start..]);
                    let left = simd.negate_mul_add_e_f32s(simd.sub_f32s(x[0], ps), ks, dy[0]);
                    let left = simd.sub_f32s(left, ms);
                    dx[0] = simd.mul_f32s(simd.mul_f32s(left, is), gs);
                }
                let (xv, x_rest) = S::as_simd_f32s(x);
                let (dyv, dy_rest) = S::as_simd_f32s(dy);
                let (dxv, dx_rest) = S::as_mut_simd_f32s(dx);
                for ((x, dy), dx) in xv.iter().zip(dyv).zip(dxv) {
                    let left = simd.negate_mul_add_e_f32s(simd.sub_f32s(*x, ps), ks, *dy);
                    let left = simd.sub_f32s(left, ms);
                    *dx = simd.mul_f32s(simd.mul_f32s(left, is), gs);
                }
                if tail.is_none() {
                    for ((x, dy), dx) in x_rest.iter().zip(dy_rest).zip(dx_rest) {
                        *dx = ((dy - (x - p) * k) - m) * i * g;
                    }
                }
            }
        }
    }
}
