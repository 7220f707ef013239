//! Sums over f16; otherwise as the kernels of the same names over f32.

#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "vectors of f16 are only those of x86-64")
)]

use half::f16;

use super::cache::prefetch_ahead;
use super::columns::{DEPTH, PAIRED_DEPTH};
use super::element::Layout;
use super::halves::{Kernel, Wide, last, vectors, vectors_mut};
use super::runs::{CHAINS, DEEPEST, Lanes, SHORT};

/// Adds `x - pivot` and its square.
#[inline(always)]
fn add_moment<W: Wide>(wide: W, [sum, square]: &mut [W::Vector; 2], x: &W::Halves, pivot: W::Vector) {
    let d = wide.sub(wide.widen(x), pivot);
    *sum = wide.add(*sum, d);
    *square = wide.mul_add(d, d, *square);
}

/// Adds dy and `dy * (x - mean)`.
#[inline(always)]
fn add_gradient<W: Wide>(
    wide: W,
    [sum, product]: &mut [W::Vector; 2],
    (x, dy): (&W::Halves, &W::Halves),
    [p, d]: [W::Vector; 2],
) {
    let (centered, dy) = (wide.sub(wide.sub(wide.widen(x), p), d), wide.widen(dy));
    *sum = wide.add(*sum, dy);
    *product = wide.mul_add(dy, centered, *product);
}

/// Adds a vector to one in memory.
#[inline(always)]
fn add_to<W: Wide>(wide: W, to: &mut W::Floats, vector: W::Vector) {
    *to = wide.store(wide.add(wide.load(to), vector));
}

/// Adds the two sums of a chain to those of the lanes.
#[inline(always)]
fn add_chain<W: Wide>(wide: W, lanes: &mut Lanes, chain: usize, [first, second]: [W::Vector; 2]) {
    add_to(wide, &mut vectors_mut(&mut lanes.first, CHAINS)[chain], first);
    add_to(wide, &mut vectors_mut(&mut lanes.second, CHAINS)[chain], second);
}

/// One row of runs of one channel each, of a vector at least.
pub(super) struct AddMomentsRuns<'a> {
    pub x: &'a [f16],
    pub run: usize,
    pub pivots: &'a [f32],
    pub lanes: &'a mut [Lanes],
}

impl Kernel for AddMomentsRuns<'_> {
    #[inline(always)]
    fn run<W: Wide>(self, wide: W) {
        let Self { x, run, pivots, lanes } = self;
        let (count, fresh) = (run / W::LANES, run % W::LANES);
        for ((x, &pivot), lanes) in x.chunks_exact(run).zip(pivots).zip(lanes) {
            let pivot = wide.splat(pivot);
            let vectors: &[W::Halves] = vectors(x, count);
            if count <= SHORT {
                let mut sums = [[wide.splat(0.0); 2]; 2];
                let pairs = vectors.chunks_exact(2);
                if let [x] = pairs.remainder() {
                    add_moment(wide, &mut sums[0], x, pivot);
                }
                for pair in pairs {
                    add_moment(wide, &mut sums[0], &pair[0], pivot);
                    add_moment(wide, &mut sums[1], &pair[1], pivot);
                }
                add_chain(wide, lanes, 0, sums[0]);
                add_chain(wide, lanes, 1, sums[1]);
            } else {
                for vectors in vectors.chunks(CHAINS * DEEPEST) {
                    let mut sums = [[wide.splat(0.0); 2]; CHAINS];
                    let blocks = vectors.chunks_exact(CHAINS);
                    let odd = blocks.remainder();
                    for block in blocks {
                        for k in 0..CHAINS {
                            add_moment(wide, &mut sums[k], &block[k], pivot);
                        }
                    }
                    for (sums, x) in sums.iter_mut().zip(odd) {
                        add_moment(wide, sums, x, pivot);
                    }
                    for (chain, sums) in sums.into_iter().enumerate() {
                        add_chain(wide, lanes, chain, sums);
                    }
                }
            }
            if fresh > 0 {
                let d = wide.last(fresh, wide.sub(wide.widen(last(x)), pivot));
                add_chain(wide, lanes, CHAINS - 1, [d, wide.splat(0.0)]);
                let squares = &mut vectors_mut::<_, W::Floats>(&mut lanes.second, CHAINS)[CHAINS - 1];
                *squares = wide.store(wide.mul_add(d, d, wide.load(squares)));
            }
        }
    }
}

/// One row of runs of one channel each, of a vector at least.
pub(super) struct AddGradientsRuns<'a> {
    pub x: &'a [f16],
    pub dy: &'a [f16],
    pub run: usize,
    pub fields: [&'a [f32]; 2],
    pub lanes: &'a mut [Lanes],
}

impl Kernel for AddGradientsRuns<'_> {
    #[inline(always)]
    fn run<W: Wide>(self, wide: W) {
        let Self { x, dy, run, fields, lanes } = self;
        let (count, fresh) = (run / W::LANES, run % W::LANES);
        for (c, ((x, dy), lanes)) in x.chunks_exact(run).zip(dy.chunks_exact(run)).zip(lanes).enumerate() {
            let mean = [wide.splat(fields[0][c]), wide.splat(fields[1][c])];
            let (xs, dys): (&[W::Halves], &[W::Halves]) = (vectors(x, count), vectors(dy, count));
            if count <= SHORT {
                let mut sums = [[wide.splat(0.0); 2]; 2];
                let (x_pairs, dy_pairs) = (xs.chunks_exact(2), dys.chunks_exact(2));
                if let ([x], [dy]) = (x_pairs.remainder(), dy_pairs.remainder()) {
                    add_gradient(wide, &mut sums[0], (x, dy), mean);
                }
                for (x, dy) in x_pairs.zip(dy_pairs) {
                    add_gradient(wide, &mut sums[0], (&x[0], &dy[0]), mean);
                    add_gradient(wide, &mut sums[1], (&x[1], &dy[1]), mean);
                }
                add_chain(wide, lanes, 0, sums[0]);
                add_chain(wide, lanes, 1, sums[1]);
            } else {
                for (xs, dys) in xs.chunks(CHAINS * DEEPEST).zip(dys.chunks(CHAINS * DEEPEST)) {
                    let mut sums = [[wide.splat(0.0); 2]; CHAINS];
                    let (x_blocks, dy_blocks) = (xs.chunks_exact(CHAINS), dys.chunks_exact(CHAINS));
                    let odd = x_blocks.remainder().iter().zip(dy_blocks.remainder());
                    for (x, dy) in x_blocks.zip(dy_blocks) {
                        for k in 0..CHAINS {
                            add_gradient(wide, &mut sums[k], (&x[k], &dy[k]), mean);
                        }
                    }
                    for (sums, tensors) in sums.iter_mut().zip(odd) {
                        add_gradient(wide, sums, tensors, mean);
                    }
                    for (chain, sums) in sums.into_iter().enumerate() {
                        add_chain(wide, lanes, chain, sums);
                    }
                }
            }
            if fresh > 0 {
                let centered = wide.sub(wide.sub(wide.widen(last(x)), mean[0]), mean[1]);
                let dy = wide.last(fresh, wide.widen(last(dy)));
                // Of the others either factor may be infinite.
                let centered = wide.last(fresh, centered);
                add_chain(wide, lanes, CHAINS - 1, [dy, wide.splat(0.0)]);
                let products = &mut vectors_mut::<_, W::Floats>(&mut lanes.second, CHAINS)[CHAINS - 1];
                *products = wide.store(wide.mul_add(dy, centered, wide.load(products)));
            }
        }
    }
}

/// As many rows at once as with f32.
pub(super) struct AddMomentsRows<'a> {
    pub x: &'a [f16],
    pub of_x: Layout,
    pub pivots: &'a [f32],
    pub sums: &'a mut [f32],
    pub squares: &'a mut [f32],
}

impl AddMomentsRows<'_> {
    #[inline(always)]
    fn rows<W: Wide, const N: usize>(&mut self, wide: W, first: usize) {
        let Layout { stride, width, .. } = self.of_x;
        let (x, count) = (&self.x[first * stride..], width / W::LANES);
        let rows: [&[W::Halves]; N] = std::array::from_fn(|n| vectors(&x[n * stride..][..width], count));
        let pivots: &[W::Floats] = vectors(self.pivots, count);
        {
            let (sums, squares) = (vectors_mut(self.sums, count), vectors_mut(self.squares, count));
            let ahead = N * stride / W::LANES;
            for j in 0..count {
                let pivot = wide.load(&pivots[j]);
                let mut both = [wide.splat(0.0); 2];
                for row in &rows {
                    prefetch_ahead(&row[j..], ahead);
                    add_moment(wide, &mut both, &row[j], pivot);
                }
                add_to(wide, &mut sums[j], both[0]);
                add_to(wide, &mut squares[j], both[1]);
            }
        }
        for j in count * W::LANES..width {
            let (mut sum, mut square) = (0.0, 0.0);
            for n in 0..N {
                let d = x[n * stride + j].to_f32() - self.pivots[j];
                sum += d;
                square += d * d;
            }
            self.sums[j] += sum;
            self.squares[j] += square;
        }
    }
}

impl Kernel for AddMomentsRows<'_> {
    #[inline(always)]
    fn run<W: Wide>(mut self, wide: W) {
        let deep = self.of_x.count / DEPTH * DEPTH;
        for first in (0..deep).step_by(DEPTH) {
            self.rows::<W, DEPTH>(wide, first);
        }
        for first in deep..self.of_x.count {
            self.rows::<W, 1>(wide, first);
        }
    }
}

/// As many rows at once as with f32.
pub(super) struct AddGradientsRows<'a> {
    pub x: &'a [f16],
    pub dy: &'a [f16],
    pub of_x: Layout,
    pub fields: [&'a [f32]; 2],
    pub sums: &'a mut [f32],
    pub products: &'a mut [f32],
}

impl AddGradientsRows<'_> {
    #[inline(always)]
    fn rows<W: Wide, const N: usize>(&mut self, wide: W, first: usize) {
        let Layout { stride, width, .. } = self.of_x;
        let (x, dy, count) = (&self.x[first * stride..], &self.dy[first * stride..], width / W::LANES);
        let xs: [&[W::Halves]; N] = std::array::from_fn(|n| vectors(&x[n * stride..][..width], count));
        let dys: [&[W::Halves]; N] = std::array::from_fn(|n| vectors(&dy[n * stride..][..width], count));
        let [ps, ds]: [&[W::Floats]; 2] = self.fields.map(|field| vectors(field, count));
        {
            let (sums, products) = (vectors_mut(self.sums, count), vectors_mut(self.products, count));
            let ahead = N * stride / W::LANES;
            for j in 0..count {
                let mean = [wide.load(&ps[j]), wide.load(&ds[j])];
                let mut both = [wide.splat(0.0); 2];
                for n in 0..N {
                    prefetch_ahead(&xs[n][j..], ahead);
                    prefetch_ahead(&dys[n][j..], ahead);
                    add_gradient(wide, &mut both, (&xs[n][j], &dys[n][j]), mean);
                }
                add_to(wide, &mut sums[j], both[0]);
                add_to(wide, &mut products[j], both[1]);
            }
        }
        let [p, d] = self.fields;
        for j in count * W::LANES..width {
            let (mut sum, mut product) = (0.0, 0.0);
            for n in 0..N {
                let (x, dy) = (x[n * stride + j].to_f32(), dy[n * stride + j].to_f32());
                sum += dy;
                product += dy * ((x - p[j]) - d[j]);
            }
            self.sums[j] += sum;
            self.products[j] += product;
        }
    }
}

impl Kernel for AddGradientsRows<'_> {
    #[inline(always)]
    fn run<W: Wide>(mut self, wide: W) {
        let deep = self.of_x.count / PAIRED_DEPTH * PAIRED_DEPTH;
        for first in (0..deep).step_by(PAIRED_DEPTH) {
            self.rows::<W, PAIRED_DEPTH>(wide, first);
        }
        for first in deep..self.of_x.count {
            self.rows::<W, 1>(wide, first);
        }
    }
}
