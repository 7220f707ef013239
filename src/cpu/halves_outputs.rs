//! Outputs in f16; otherwise as the kernels of the same names over f32. What a kernel calls has to be inlined into it, as
//! closures are not always: vectors would go through memory from one to the next.

#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "vectors of f16 are only those of x86-64")
)]

use half::f16;

use super::element::Layout;
use super::halves::{Kernel, Wide, last, last_mut, vectors, vectors_mut};
use super::parameters::Fields;

/// `(x - pivot) * rest * scale + shift`.
#[inline(always)]
fn normalized<W: Wide>(
    wide: W,
    x: &W::Halves,
    [p, s, b]: [W::Vector; 3],
    rest: Option<W::Vector>,
) -> W::Halves {
    let d = wide.sub(wide.widen(x), p);
    wide.narrow(match rest {
        None => wide.mul_add(d, s, b),
        Some(rest) => wide.mul_add(wide.mul(d, rest), s, b),
    })
}

/// `(dy - (x - pivot) * slope - shift) * rest * scale`.
#[inline(always)]
fn differentiated<W: Wide>(
    wide: W,
    (x, dy): (&W::Halves, &W::Halves),
    [p, k, m, s]: [W::Vector; 4],
    rest: Option<W::Vector>,
) -> W::Halves {
    let left = wide.negate_mul_add(wide.sub(wide.widen(x), p), k, wide.widen(dy));
    let left = wide.sub(left, m);
    let left = match rest {
        None => left,
        Some(rest) => wide.mul(left, rest),
    };
    wide.narrow(wide.mul(left, s))
}

/// Runs of one channel each, of a vector at least.
pub(super) struct NormalizeRuns<'a> {
    pub x: &'a [f16],
    pub y: &'a mut [f16],
    pub run: usize,
    pub first: usize,
    pub fields: Fields<'a, 3>,
}

impl Kernel for NormalizeRuns<'_> {
    #[inline(always)]
    fn run<W: Wide>(self, wide: W) {
        let Self { x, y, run, first: mut c, fields } = self;
        let (count, ragged) = (run / W::LANES, !run.is_multiple_of(W::LANES));
        for (x, y) in x.chunks_exact(run).zip(y.chunks_exact_mut(run)) {
            let [p, s, b] = fields.each;
            let of_channel = [wide.splat(p[c]), wide.splat(s[c]), wide.splat(b[c])];
            let rest = wide.splat(fields.rest.map_or(1.0, |rest| rest[c]));
            let rest = fields.rest.is_some().then_some(rest);
            c = if c + 1 == fields.channels() { 0 } else { c + 1 };
            for (x, y) in vectors(x, count).iter().zip(vectors_mut(y, count)) {
                *y = normalized(wide, x, of_channel, rest);
            }
            if ragged {
                *last_mut(y) = normalized(wide, last(x), of_channel, rest);
            }
        }
    }
}

/// Runs of one channel each, of a vector at least.
pub(super) struct GradientRuns<'a> {
    pub x: &'a [f16],
    pub dy: &'a [f16],
    pub dx: &'a mut [f16],
    pub run: usize,
    pub first: usize,
    pub fields: Fields<'a, 4>,
}

impl Kernel for GradientRuns<'_> {
    #[inline(always)]
    fn run<W: Wide>(self, wide: W) {
        let Self { x, dy, dx, run, first: mut c, fields } = self;
        let (count, ragged) = (run / W::LANES, !run.is_multiple_of(W::LANES));
        for ((x, dy), dx) in x.chunks_exact(run).zip(dy.chunks_exact(run)).zip(dx.chunks_exact_mut(run)) {
            let [p, k, m, s] = fields.each;
            let of_channel = [wide.splat(p[c]), wide.splat(k[c]), wide.splat(m[c]), wide.splat(s[c])];
            let rest = wide.splat(fields.rest.map_or(1.0, |rest| rest[c]));
            let rest = fields.rest.is_some().then_some(rest);
            c = if c + 1 == fields.channels() { 0 } else { c + 1 };
            let tensors = vectors(x, count).iter().zip(vectors(dy, count));
            for (tensors, dx) in tensors.zip(vectors_mut(dx, count)) {
                *dx = differentiated(wide, tensors, of_channel, rest);
            }
            if ragged {
                *last_mut(dx) = differentiated(wide, (last(x), last(dy)), of_channel, rest);
            }
        }
    }
}

/// Rows of y lie `stride` values apart. Row by row: two at a time load the fields half as often, but where the tensors are
/// about the size of the cache they took 1.6 times as long.
pub(super) struct NormalizeRows<'a> {
    pub x: &'a [f16],
    pub y: &'a mut [f16],
    pub of_x: Layout,
    pub stride: usize,
    pub fields: Fields<'a, 3>,
}

impl Kernel for NormalizeRows<'_> {
    #[inline(always)]
    fn run<W: Wide>(self, wide: W) {
        let Self { x, y, of_x, stride, fields } = self;
        let count = of_x.width / W::LANES;
        let [ps, ss, bs] = fields.each.map(|field| vectors::<_, W::Floats>(field, count));
        let rests = fields.rest.map(|rest| vectors::<_, W::Floats>(rest, count));
        for row in 0..of_x.count {
            let (x, y) = (&x[row * of_x.stride..][..of_x.width], &mut y[row * stride..][..of_x.width]);
            for j in count * W::LANES..x.len() {
                let [p, s, b] = fields.each.map(|field| field[j]);
                let rest = fields.rest.map_or(1.0, |rest| rest[j]);
                y[j] = f16::from_f32((x[j].to_f32() - p) * rest * s + b);
            }
            let (xs, ys) = (vectors(x, count), vectors_mut(y, count));
            if let Some(rests) = rests {
                for j in 0..count {
                    let each = [wide.load(&ps[j]), wide.load(&ss[j]), wide.load(&bs[j])];
                    ys[j] = normalized(wide, &xs[j], each, Some(wide.load(&rests[j])));
                }
            } else {
                for j in 0..count {
                    let each = [wide.load(&ps[j]), wide.load(&ss[j]), wide.load(&bs[j])];
                    ys[j] = normalized(wide, &xs[j], each, None);
                }
            }
        }
    }
}

/// Rows of dx lie `stride` values apart.
pub(super) struct GradientRows<'a> {
    pub x: &'a [f16],
    pub dy: &'a [f16],
    pub dx: &'a mut [f16],
    pub of_x: Layout,
    pub stride: usize,
    pub fields: Fields<'a, 4>,
}

impl Kernel for GradientRows<'_> {
    #[inline(always)]
    fn run<W: Wide>(self, wide: W) {
        let Self { x, dy, dx, of_x, stride, fields } = self;
        let count = of_x.width / W::LANES;
        let [ps, ks, ms, ss] = fields.each.map(|field| vectors::<_, W::Floats>(field, count));
        let rests = fields.rest.map(|rest| vectors::<_, W::Floats>(rest, count));
        for row in 0..of_x.count {
            let start = row * of_x.stride;
            let (x, dy) = (&x[start..][..of_x.width], &dy[start..][..of_x.width]);
            let dx = &mut dx[row * stride..][..of_x.width];
            for j in count * W::LANES..x.len() {
                let [p, k, m, s] = fields.each.map(|field| field[j]);
                let rest = fields.rest.map_or(1.0, |rest| rest[j]);
                let left = (dy[j].to_f32() - (x[j].to_f32() - p) * k) - m;
                dx[j] = f16::from_f32(left * rest * s);
            }
            let (xs, dys, dxs) = (vectors(x, count), vectors(dy, count), vectors_mut(dx, count));
            if let Some(rests) = rests {
                for j in 0..count {
                    let each = [wide.load(&ps[j]), wide.load(&ks[j]), wide.load(&ms[j]), wide.load(&ss[j])];
                    dxs[j] = differentiated(wide, (&xs[j], &dys[j]), each, Some(wide.load(&rests[j])));
                }
            } else {
                for j in 0..count {
                    let each = [wide.load(&ps[j]), wide.load(&ks[j]), wide.load(&ms[j]), wide.load(&ss[j])];
                    dxs[j] = differentiated(wide, (&xs[j], &dys[j]), each, None);
                }
            }
        }
    }
}
