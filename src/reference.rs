//! Batch normalization by its definition: f64, one value after the other, to be read beside the paper.
//!
//! This is the oracle that the kernels are held against. It shares nothing with them but the view of a tensor as
//! `[outer, channels, inner]`, and it is for truth, not for speed. A tensor is a slice of `shape.len()` values,
//! row-major; the storage type of the shape does not matter here. Round the inputs to their storage type first
//! ([`stored`]), so that both sides see the same values.
//!
//! ```
//! use wgpu_batchnorm::{Dtype, Shape, reference};
//!
//! let shape = Shape::new(&[4, 1], 1, Dtype::F32)?;
//! let x = [1.0, 2.0, 3.0, 4.0];
//! let batch = reference::statistics(&shape, &x)?;
//! assert_eq!((batch.mean[0], batch.variance[0]), (2.5, 1.25));
//! let y = reference::normalize(&shape, &x, &batch, None, None, 0.0)?;
//! assert_eq!(y[3], 1.5 / 1.25f64.sqrt());
//! # Ok::<(), wgpu_batchnorm::Error>(())
//! ```

use crate::error::Error;
use crate::tensor::{Dtype, Shape};

mod activation;
mod fold;
mod running;

pub use activation::{activate, finish, slope, through};
pub use fold::{Linear, fold};
pub use running::{follow, update_running};

/// Mean and biased variance per channel, each of `shape.channels()` values: those of a batch, or running ones.
///
/// ```
/// use wgpu_batchnorm::reference::Statistics;
///
/// // What a new layer starts from.
/// let running = Statistics { mean: vec![0.0; 64], variance: vec![1.0; 64] };
/// # let _ = running;
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Mean per channel.
    pub mean: Vec<f64>,
    /// Variance per channel; biased (divided by m) where it is that of a batch.
    pub variance: Vec<f64>,
}

/// The gradients of a training step.
///
/// ```
/// use wgpu_batchnorm::{Dtype, Shape, reference};
///
/// let shape = Shape::new(&[2, 1], 1, Dtype::F32)?;
/// let (x, dy) = ([1.0, 3.0], [1.0, 0.0]);
/// let batch = reference::statistics(&shape, &x)?;
/// let gradients = reference::backward(&shape, &x, &dy, &batch, None, 0.0)?;
/// assert_eq!((gradients.dbeta[0], gradients.dgamma[0]), (1.0, -1.0));
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gradients {
    /// Gradient of the loss by x, of `shape.len()` values.
    pub dx: Vec<f64>,
    /// Gradient of the loss by gamma, per channel.
    pub dgamma: Vec<f64>,
    /// Gradient of the loss by beta, per channel.
    pub dbeta: Vec<f64>,
}

/// The values as a tensor of this storage type holds them.
///
/// ```
/// use wgpu_batchnorm::{Dtype, reference};
///
/// assert_eq!(reference::stored(Dtype::F16, &[0.1]), [0.0999755859375]);
/// ```
pub fn stored(dtype: Dtype, values: &[f64]) -> Vec<f64> {
    let round = |&value: &f64| match dtype {
        Dtype::F32 => f64::from(value as f32),
        Dtype::F16 => half::f16::from_f64(value).to_f64(),
    };
    values.iter().map(round).collect()
}

/// Mean and biased variance of a batch: algorithm 1, lines 1 and 2.
///
/// An empty batch has NaN for both.
///
/// # Errors
/// [`Error::Length`].
///
/// ```
/// use wgpu_batchnorm::{Dtype, Shape, reference};
///
/// let shape = Shape::new(&[2, 2], 1, Dtype::F32)?;
/// let batch = reference::statistics(&shape, &[1.0, 10.0, 3.0, 30.0])?;
/// assert_eq!((batch.mean, batch.variance), (vec![2.0, 20.0], vec![1.0, 100.0]));
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
pub fn statistics(shape: &Shape, x: &[f64]) -> Result<Statistics, Error> {
    check("x", x.len(), shape.len())?;
    let m = f64::from(shape.values_per_channel());
    let mut statistics = Statistics::default();
    for channel in 0..shape.channels() {
        let values = || indices(shape, channel).map(|i| x[i]);
        // mu_B = 1/m sum x_i
        let mean = values().sum::<f64>() / m;
        // sigma_B^2 = 1/m sum (x_i - mu_B)^2
        let variance = values().map(|x_i| (x_i - mean).powi(2)).sum::<f64>() / m;
        statistics.mean.push(mean);
        statistics.variance.push(variance);
    }
    Ok(statistics)
}

/// Normalizes by given statistics: algorithm 1, lines 3 and 4, with those of the batch; algorithm 2, line 12, with
/// running ones. An absent gamma is 1, an absent beta 0.
///
/// # Errors
/// [`Error::Length`].
///
/// ```
/// use wgpu_batchnorm::{Dtype, Shape, reference};
///
/// let shape = Shape::new(&[1, 1], 1, Dtype::F32)?;
/// let running = reference::Statistics { mean: vec![1.0], variance: vec![3.0] };
/// let y = reference::normalize(&shape, &[5.0], &running, Some(&[10.0]), Some(&[0.5]), 1.0)?;
/// assert_eq!(y, [20.5]);
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
pub fn normalize(
    shape: &Shape,
    x: &[f64],
    statistics: &Statistics,
    gamma: Option<&[f64]>,
    beta: Option<&[f64]>,
    eps: f64,
) -> Result<Vec<f64>, Error> {
    check("x", x.len(), shape.len())?;
    check_statistics(shape, statistics)?;
    let gamma = parameter("gamma", shape.channels().into(), gamma, 1.0)?;
    let beta = parameter("beta", shape.channels().into(), beta, 0.0)?;
    let mut y = vec![0.0; x.len()];
    for channel in 0..shape.channels() {
        let c = channel as usize;
        for i in indices(shape, channel) {
            // x_hat_i = (x_i - mu) / sqrt(sigma^2 + eps)
            let x_hat = (x[i] - statistics.mean[c]) / (statistics.variance[c] + eps).sqrt();
            // y_i = gamma x_hat_i + beta
            y[i] = gamma[c] * x_hat + beta[c];
        }
    }
    Ok(y)
}

/// The gradients of a training step, by the chain of derivatives of section 3 of the paper, line by line. The
/// statistics are those of the batch x. An empty batch gives zeros for dgamma and dbeta.
///
/// # Errors
/// [`Error::Length`].
///
/// ```
/// use wgpu_batchnorm::{Dtype, Shape, reference};
///
/// // Adding a constant to a channel changes nothing, so its gradient sums to zero.
/// let shape = Shape::new(&[4, 1], 1, Dtype::F32)?;
/// let (x, dy) = ([1.0, 2.0, 3.0, 5.0], [0.3, -1.0, 2.0, 0.7]);
/// let batch = reference::statistics(&shape, &x)?;
/// let gradients = reference::backward(&shape, &x, &dy, &batch, Some(&[2.0]), 1e-5)?;
/// assert!(gradients.dx.iter().sum::<f64>().abs() < 1e-15);
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
pub fn backward(
    shape: &Shape,
    x: &[f64],
    dy: &[f64],
    batch: &Statistics,
    gamma: Option<&[f64]>,
    eps: f64,
) -> Result<Gradients, Error> {
    check("x", x.len(), shape.len())?;
    check("dy", dy.len(), shape.len())?;
    check_statistics(shape, batch)?;
    let gamma = parameter("gamma", shape.channels().into(), gamma, 1.0)?;
    let m = f64::from(shape.values_per_channel());
    let mut gradients = Gradients { dx: vec![0.0; x.len()], ..Gradients::default() };
    for channel in 0..shape.channels() {
        let c = channel as usize;
        let values = || indices(shape, channel);
        let mean = batch.mean[c];
        let variance_eps = batch.variance[c] + eps;
        let invstd = 1.0 / variance_eps.sqrt();
        // dl/dx_hat_i = dl/dy_i gamma
        let dx_hat = |i: usize| dy[i] * gamma[c];
        // dl/dsigma^2 = sum dl/dx_hat_i (x_i - mu) (-1/2) (sigma^2 + eps)^(-3/2)
        let dvariance =
            values().map(|i| dx_hat(i) * (x[i] - mean)).sum::<f64>() * -0.5 * (invstd / variance_eps);
        // dl/dmu = sum dl/dx_hat_i (-1 / sqrt(sigma^2 + eps)) + dl/dsigma^2 (1/m) sum -2 (x_i - mu)
        let dmean = values().map(dx_hat).sum::<f64>() * -invstd
            + dvariance * values().map(|i| -2.0 * (x[i] - mean)).sum::<f64>() / m;
        for i in values() {
            // dl/dx_i = dl/dx_hat_i / sqrt(sigma^2 + eps) + dl/dsigma^2 2 (x_i - mu) / m + dl/dmu / m
            gradients.dx[i] = dx_hat(i) * invstd + dvariance * 2.0 * (x[i] - mean) / m + dmean / m;
        }
        // dl/dgamma = sum dl/dy_i x_hat_i
        gradients.dgamma.push(values().map(|i| dy[i] * (x[i] - mean)).sum::<f64>() * invstd);
        // dl/dbeta = sum dl/dy_i
        gradients.dbeta.push(values().map(|i| dy[i]).sum());
        // Nothing summed: no statistics to scale by, and -0.0 for an empty sum.
        if m == 0.0 {
            (gradients.dgamma[c], gradients.dbeta[c]) = (0.0, 0.0);
        }
    }
    Ok(gradients)
}

/// The gradients of inference: the statistics do not depend on x, so that dx is dy times the slope of the line
/// `y = gamma * (x - mean) / sqrt(variance + eps) + beta`.
///
/// # Errors
/// [`Error::Length`].
///
/// ```
/// use wgpu_batchnorm::{Dtype, Shape, reference};
///
/// let shape = Shape::new(&[2, 1], 1, Dtype::F32)?;
/// let running = reference::Statistics { mean: vec![1.0], variance: vec![4.0] };
/// let gradients = reference::frozen_backward(&shape, &[3.0, 5.0], &[1.0, 1.0], &running, Some(&[10.0]), 0.0)?;
/// assert_eq!((gradients.dx, gradients.dgamma, gradients.dbeta), (vec![5.0, 5.0], vec![3.0], vec![2.0]));
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
pub fn frozen_backward(
    shape: &Shape,
    x: &[f64],
    dy: &[f64],
    running: &Statistics,
    gamma: Option<&[f64]>,
    eps: f64,
) -> Result<Gradients, Error> {
    check("x", x.len(), shape.len())?;
    check("dy", dy.len(), shape.len())?;
    check_statistics(shape, running)?;
    let gamma = parameter("gamma", shape.channels().into(), gamma, 1.0)?;
    let mut gradients = Gradients { dx: vec![0.0; x.len()], ..Gradients::default() };
    for channel in 0..shape.channels() {
        let c = channel as usize;
        let invstd = 1.0 / (running.variance[c] + eps).sqrt();
        let (mut dgamma, mut dbeta) = (0.0, 0.0);
        for i in indices(shape, channel) {
            gradients.dx[i] = dy[i] * gamma[c] * invstd;
            dgamma += dy[i] * (x[i] - running.mean[c]) * invstd;
            dbeta += dy[i];
        }
        gradients.dgamma.push(dgamma);
        gradients.dbeta.push(dbeta);
    }
    Ok(gradients)
}

/// Where the values of one channel lie in `[outer, channels, inner]`.
fn indices(shape: &Shape, channel: u32) -> impl Iterator<Item = usize> {
    let (channels, inner) = (shape.channels() as usize, shape.inner() as usize);
    let channel = channel as usize;
    (0..shape.outer() as usize).flat_map(move |outer| {
        let first = (outer * channels + channel) * inner;
        first..first + inner
    })
}

fn parameter(
    argument: &'static str,
    channels: u64,
    given: Option<&[f64]>,
    neutral: f64,
) -> Result<Vec<f64>, Error> {
    let Some(given) = given else {
        return Ok(vec![neutral; channels as usize]);
    };
    check(argument, given.len(), channels)?;
    Ok(given.to_vec())
}

fn check_statistics(shape: &Shape, statistics: &Statistics) -> Result<(), Error> {
    check("mean", statistics.mean.len(), shape.channels().into())?;
    check("variance", statistics.variance.len(), shape.channels().into())
}

fn check(argument: &'static str, got: usize, needs: u64) -> Result<(), Error> {
    let needs = needs as usize;
    if got == needs { Ok(()) } else { Err(Error::Length { argument, got, needs }) }
}
