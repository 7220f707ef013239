//! What results should be, and how far they may be from it: the bounds of the whole suite.
//!
//! U is the unit roundoff of f32, 2^-24. Bounds hold channel by channel: where the crate promises one in terms of
//! the largest gamma or x_hat, here it is the largest of the value's own channel.

use std::fmt::Display;

use wgpu_batchnorm::reference::{self, Statistics};
use wgpu_batchnorm::verify::compare;
use wgpu_batchnorm::{BackwardOptions, Dtype, InferenceOptions, SavedStatistics, Shape, TrainingOptions};

use super::case::{Case, channel};
use super::run::{Differentiated, Trained};

pub const U: f64 = f32::EPSILON as f64 / 2.0;

/// What is wrong, if something is.
pub type Verdict = Result<(), String>;

/// Fails the test with what is wrong, and where.
#[track_caller]
pub fn hold(place: impl Display, verdict: Verdict) {
    if let Err(wrong) = verdict {
        panic!("{place}: {wrong}");
    }
}

pub fn within(name: &str, actual: &[f64], expected: &[f64], bound: impl Fn(usize) -> f64) -> Verdict {
    let comparison = compare(actual, expected, bound);
    if comparison.passed() { Ok(()) } else { Err(format!("{name}: {comparison}")) }
}

/// The largest value in each channel, 0 for an empty one.
fn largest(shape: &Shape, value: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let mut largest = vec![0.0f64; shape.channels() as usize];
    for i in 0..shape.len() as usize {
        let c = channel(shape, i);
        largest[c] = largest[c].max(value(i, c));
    }
    largest
}

/// The sum over each channel.
fn sums(shape: &Shape, value: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let mut sums = vec![0.0f64; shape.channels() as usize];
    for i in 0..shape.len() as usize {
        let c = channel(shape, i);
        sums[c] += value(i, c);
    }
    sums
}

/// A tensor of results: in f16 they are the f32 ones rounded once, which adds half a unit in the last place.
pub fn tensor(
    name: &str,
    shape: &Shape,
    actual: &[f64],
    expected: &[f64],
    bound: impl Fn(usize) -> f64,
) -> Verdict {
    match shape.dtype() {
        Dtype::F32 => within(name, actual, expected, bound),
        Dtype::F16 => {
            // From 65520 on the nearest is infinity.
            let overflow = |&value: &f64| if value.abs() < 65520.0 { value } else { value * f64::INFINITY };
            let finite: Vec<f64> = expected.iter().map(overflow).collect();
            // The value that is rounded may be in the next binade, at most the bound away.
            within(name, actual, &finite, |i| bound(i) + half_unit(expected[i].abs() + bound(i)))
        }
    }
}

/// Half a unit in the last place of an f16.
fn half_unit(value: f64) -> f64 {
    let exponent = value.abs().max(2f64.powi(-14)).log2().floor();
    2f64.powf(exponent - 11.0)
}

fn invstd(batch: &Statistics, eps: f64) -> Vec<f64> {
    batch.variance.iter().map(|variance| 1.0 / (variance + eps).sqrt()).collect()
}

fn parameter(given: Option<&[f64]>, neutral: f64, channels: u32) -> Vec<f64> {
    given.map_or_else(|| vec![neutral; channels as usize], <[f64]>::to_vec)
}

/// The output of a training forward pass: within 2e-6 (1 + |gamma| max|x_hat|), at every offset.
pub fn normalized(
    case: &Case,
    batch: &Statistics,
    (gamma, beta): (Option<&[f64]>, Option<&[f64]>),
    eps: f64,
    y: &[f64],
) -> Verdict {
    let shape = &case.shape;
    let expected = reference::normalize(shape, &case.x, batch, gamma, beta, eps).expect("lengths");
    let invstd = invstd(batch, eps);
    let x_hat = largest(shape, |i, c| ((case.x[i] - batch.mean[c]) * invstd[c]).abs());
    let gamma = parameter(gamma, 1.0, shape.channels());
    tensor("y", shape, y, &expected, |i| {
        let c = channel(shape, i);
        2e-6 * (1.0 + gamma[c].abs() * x_hat[c])
    })
}

/// How far a mean kept in two floats may be: the difference is rounded relative to the distance from the pivot, a
/// unit of the mean for like chunks and a few standard deviations for unlike ones, and its sum to 2e-6 of the
/// standard deviation.
pub fn mean_bound(mean: f64, variance: f64) -> f64 {
    2e-6 * variance.sqrt() + 16.0 * U * U * mean.abs()
}

/// The variance is a sum of squares about that mean, so that nothing cancels: 4e-6 of itself for the order of
/// blocks and trees, and half of that for invstd, whose root adds two units.
pub fn saved(batch: &Statistics, eps: f64, saved: &[SavedStatistics]) -> Verdict {
    let column = |value: fn(&SavedStatistics) -> f64| saved.iter().map(value).collect::<Vec<_>>();
    let (mean, variance) = (&batch.mean, &batch.variance);
    within("saved mean", &column(|s| s.mean()), mean, |c| mean_bound(mean[c], variance[c]))?;
    within("saved variance", &column(|s| s.variance.into()), variance, |c| 4e-6 * variance[c])?;
    let invstd = invstd(batch, eps);
    within("saved invstd", &column(|s| s.invstd.into()), &invstd, |c| 2.5e-6 * invstd[c])
}

/// The running statistics: four roundings of their two terms, beside what the batch's own are off by.
pub fn running(case: &Case, batch: &Statistics, options: &TrainingOptions, actual: &Statistics) -> Verdict {
    let Some(tracking) = options.running else {
        return same_running(&case.running, actual);
    };
    let momentum = f64::from(tracking.momentum.weight().expect("a constant momentum"));
    let update = reference::update_running(&case.shape, &case.running, batch, momentum, tracking.variance);
    let expected = update.expect("lengths");
    let m = f64::from(case.shape.values_per_channel());
    let terms = |old: f64, new: f64| 4.0 * U * (((1.0 - momentum) * old).abs() + (momentum * new).abs());
    within("running mean", &actual.mean, &expected.mean, |c| {
        let batch_mean = batch.mean[c];
        terms(case.running.mean[c], batch_mean) + momentum.abs() * mean_bound(batch_mean, batch.variance[c])
    })?;
    within("running variance", &actual.variance, &expected.variance, |c| {
        // The unbiased variance is at most twice the biased one.
        let variance = batch.variance[c] * m / (m - 1.0);
        terms(case.running.variance[c], variance) + momentum.abs() * 4e-6 * variance
    })
}

/// Not one bit of the running statistics has changed.
pub fn same_running(before: &Statistics, after: &Statistics) -> Verdict {
    within("running mean", &after.mean, &before.mean, |_| 0.0)?;
    within("running variance", &after.variance, &before.variance, |_| 0.0)
}

/// All results of a training forward pass.
pub fn training(case: &Case, options: &TrainingOptions, actual: &Trained) -> Verdict {
    if case.shape.is_empty() {
        within("y", &actual.y, &[], |_| 0.0)?;
        if !actual.saved.iter().all(|saved| saved.pivot.is_nan() && saved.invstd.is_nan()) {
            return Err("saved: written by an empty batch".into());
        }
        return same_running(&case.running, &actual.running);
    }
    let eps = f64::from(options.eps);
    let batch = reference::statistics(&case.shape, &case.x).expect("lengths");
    saved(&batch, eps, &actual.saved)?;
    running(case, &batch, options, &actual.running)?;
    normalized(case, &batch, (case.gamma(options.affine), case.beta(options.affine)), eps, &actual.y)
}

/// The output of inference: eight roundings of the scaled deviation (four are a root's that is within two units in
/// the last place), two of beta.
pub fn inference(case: &Case, options: &InferenceOptions, y: &[f64]) -> Verdict {
    let shape = &case.shape;
    let (gamma, beta) = (case.gamma(options.affine), case.beta(options.affine));
    let eps = f64::from(options.eps);
    let expected = reference::normalize(shape, &case.x, &case.running, gamma, beta, eps).expect("lengths");
    let invstd = invstd(&case.running, eps);
    let (gamma, beta) = (parameter(gamma, 1.0, shape.channels()), parameter(beta, 0.0, shape.channels()));
    tensor("y", shape, y, &expected, |i| {
        let c = channel(shape, i);
        let deviation = ((case.x[i] - case.running.mean[c]) * invstd[c] * gamma[c]).abs();
        8.0 * U * deviation + 2.0 * U * beta[c].abs()
    })
}

/// What the gradients are taken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// Values about one offset, gradients about zero: the bounds that the crate promises.
    Plain,
    /// Anything, outliers and sums that cancel included. The projection on x_hat may then be larger than dy, and
    /// the sums smaller than what their terms' rounding leaves: both are allowed 2e-6 of themselves.
    Any,
}

/// All results of a backward pass by the statistics of the batch: dx within 2e-6 |gamma invstd| (1 + 1.5 max|dy|),
/// dgamma and dbeta within 2e-5 of their largest.
pub fn backward(
    case: &Case,
    options: &BackwardOptions,
    eps: f32,
    data: Data,
    actual: &Differentiated,
) -> Verdict {
    let (shape, eps) = (&case.shape, f64::from(eps));
    let batch = reference::statistics(shape, &case.x).expect("lengths");
    let gamma = case.gamma(options.affine);
    let expected = reference::backward(shape, &case.x, &case.dy, &batch, gamma, eps).expect("lengths");
    let invstd = invstd(&batch, eps);
    let gamma = parameter(gamma, 1.0, shape.channels());
    let x_hat = |i: usize, c: usize| (case.x[i] - batch.mean[c]) * invstd[c];
    let dy = largest(shape, |i, _| case.dy[i].abs());
    let any = if data == Data::Any { 1.0 } else { 0.0 };
    let dy_terms = sums(shape, |i, _| case.dy[i].abs());
    let dy_x_hat_terms = sums(shape, |i, c| (case.dy[i] * x_hat(i, c)).abs());
    let Differentiated { dx, dgamma, dbeta, .. } = actual;

    if options.gradients.dx {
        let x_hat = largest(shape, |i, c| x_hat(i, c).abs());
        let m = f64::from(shape.values_per_channel());
        tensor("dx", shape, dx, &expected.dx, |i| {
            let c = channel(shape, i);
            let projection = any * x_hat[c] * dy_x_hat_terms[c] / m;
            2e-6 * (gamma[c] * invstd[c]).abs() * (1.0 + 1.5 * dy[c] + projection)
        })?;
    }
    let of_largest = |values: &[f64]| 2e-5 * values.iter().fold(0.0f64, |a, b| a.max(b.abs()));
    if options.gradients.dgamma {
        let bound = of_largest(&expected.dgamma);
        within("dgamma", dgamma, &expected.dgamma, |c| {
            bound + any * 2e-6 * (dy_x_hat_terms[c] + expected.dbeta[c].abs())
        })?;
    }
    if options.gradients.dbeta {
        let bound = of_largest(&expected.dbeta);
        within("dbeta", dbeta, &expected.dbeta, |c| bound + any * 2e-6 * dy_terms[c])?;
    }
    untouched("dx", options.gradients.dx, dx)?;
    untouched("dgamma", options.gradients.dgamma, dgamma)?;
    untouched("dbeta", options.gradients.dbeta, dbeta)
}

fn untouched(name: &str, wanted: bool, values: &[f64]) -> Verdict {
    if wanted || values.iter().all(|value| value.is_nan()) {
        Ok(())
    } else {
        Err(format!("{name}: written, though not asked for"))
    }
}

/// Results in f16 are those in f32 rounded once, bit by bit.
pub fn rounded_once(name: &str, f16: &[f64], f32: &[f64]) -> Verdict {
    within(name, f16, &reference::stored(Dtype::F16, f32), |_| 0.0)
}
