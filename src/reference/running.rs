//! Running statistics by their definition.

use super::{Statistics, check, check_statistics};
use crate::error::Error;
use crate::running::{RunningCounters, RunningStatistics, RunningVariance, Update};
use crate::tensor::Shape;

/// The running statistics after a batch: the moving averages of algorithm 2, lines 7 to 11, with PyTorch's momentum,
/// the weight of the new value.
///
/// An empty batch, and one of a single value per channel with the unbiased variance, change nothing.
///
/// # Errors
/// [`Error::Length`].
///
/// ```
/// use wgpu_batchnorm::{Dtype, RunningVariance, Shape, reference};
///
/// let shape = Shape::new(&[2, 1], 1, Dtype::F32)?;
/// let batch = reference::statistics(&shape, &[0.0, 2.0])?;
/// let running = reference::Statistics { mean: vec![0.0], variance: vec![1.0] };
/// let running = reference::update_running(&shape, &running, &batch, 0.5, RunningVariance::Unbiased)?;
/// assert_eq!((running.mean[0], running.variance[0]), (0.5, 1.5));
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
pub fn update_running(
    shape: &Shape,
    running: &Statistics,
    batch: &Statistics,
    momentum: f64,
    variance: RunningVariance,
) -> Result<Statistics, Error> {
    check_statistics(shape, running)?;
    check_statistics(shape, batch)?;
    let mut new = running.clone();
    for c in 0..new.mean.len() {
        average(shape, &mut new, batch, c, momentum, variance);
    }
    Ok(new)
}

/// One channel.
fn average(
    shape: &Shape,
    running: &mut Statistics,
    batch: &Statistics,
    c: usize,
    momentum: f64,
    variance: RunningVariance,
) {
    let m = f64::from(shape.values_per_channel());
    // Var[x] = m / (m - 1) E[sigma_B^2]
    let correction = match variance {
        RunningVariance::Unbiased => m / (m - 1.0),
        RunningVariance::Biased => 1.0,
    };
    if m == 0.0 || !correction.is_finite() {
        return;
    }
    let average = |old: f64, new: f64| (1.0 - momentum) * old + momentum * new;
    running.mean[c] = average(running.mean[c], batch.mean[c]);
    running.variance[c] = average(running.variance[c], correction * batch.variance[c]);
}

/// The running statistics and counters after a batch, by all that their description says.
///
/// # Errors
/// [`Error::Length`].
///
/// ```
/// use wgpu_batchnorm::{Dtype, Momentum, RunningCounters, RunningStatistics, Shape, reference};
///
/// let shape = Shape::new(&[2, 1], 1, Dtype::F32)?;
/// let batch = reference::statistics(&shape, &[0.0, 2.0])?;
/// let old = reference::Statistics { mean: vec![9.0], variance: vec![9.0] };
/// let average = RunningStatistics { momentum: Momentum::Cumulative, ..Default::default() };
/// // The first batch replaces what was there.
/// let (new, counters) = reference::follow(&shape, &old, &[RunningCounters::default()], &batch, &average)?;
/// assert_eq!((new.mean[0], new.variance[0], counters[0].updates), (1.0, 2.0, 1));
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
pub fn follow(
    shape: &Shape,
    running: &Statistics,
    counters: &[RunningCounters],
    batch: &Statistics,
    options: &RunningStatistics,
) -> Result<(Statistics, Vec<RunningCounters>), Error> {
    check("counters", counters.len(), shape.channels().into())?;
    check_statistics(shape, running)?;
    check_statistics(shape, batch)?;
    let (mut new, mut counters) = (running.clone(), counters.to_vec());
    if shape.is_empty() {
        return Ok((new, counters));
    }
    // As f32 holds them: there is where they are looked at.
    let is_finite = |c: usize| (batch.mean[c] as f32).is_finite() && (batch.variance[c] as f32).is_finite();
    let layer = (0..counters.len()).all(is_finite);
    for (c, counters) in counters.iter_mut().enumerate() {
        let accepted = match options.update {
            Update::Always => true,
            Update::IfChannelFinite => is_finite(c),
            Update::IfLayerFinite => layer,
        };
        if !accepted {
            counters.skipped = counters.skipped.saturating_add(1);
            continue;
        }
        counters.updates = counters.updates.saturating_add(1);
        let weight = options.momentum.weight().map_or(1.0 / f64::from(counters.updates), f64::from);
        average(shape, &mut new, batch, c, weight, options.variance);
    }
    Ok((new, counters))
}
