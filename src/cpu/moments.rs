//! Sums over a channel in f64, and what becomes of them: saved and running statistics.

use crate::running::{RunningStatistics, RunningVariance};
use crate::statistics::SavedStatistics;

/// Sums of `x - origin` and its square. f64 about any value that is near some of the data loses nothing that matters:
/// the squares are at most `1 + 1/f` times those about the mean, f being the share of those data.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    origin: f64,
    sum: f64,
    squares: f64,
    count: f64,
}

impl Sums {
    /// Sums of `count` values about a pivot.
    pub(super) fn about(pivot: f32, count: f64, [sum, squares]: [f64; 2]) -> Self {
        Self { origin: pivot.into(), sum, squares, count }
    }

    /// Of values as they are: for those that f32 sums overflow on, and for the infinite ones.
    pub(super) fn exact(values: impl Iterator<Item = f32> + Clone) -> Self {
        let count = values.clone().count() as f64;
        let sum: f64 = values.clone().map(f64::from).sum();
        let origin = sum / count;
        if !origin.is_finite() {
            return Self { origin: 0.0, sum, squares: f64::NAN, count };
        }
        let deviations = values.map(|x| f64::from(x) - origin);
        let (sum, squares) = deviations.fold((0.0, 0.0), |(s, q), d| (s + d, q + d * d));
        Self { origin, sum, squares, count }
    }

    /// Adds those of other values of the same channel.
    pub(super) fn add(&mut self, other: &Self) {
        if other.count == 0.0 {
            return;
        }
        if self.count == 0.0 {
            *self = *other;
            return;
        }
        let shift = other.origin - self.origin;
        if shift == 0.0 {
            self.sum += other.sum;
            self.squares += other.squares;
        } else {
            self.sum += other.sum + other.count * shift;
            self.squares += other.squares + shift * (2.0 * other.sum + other.count * shift);
        }
        self.count += other.count;
    }

    pub(super) fn is_finite(&self) -> bool {
        self.sum.is_finite() && self.squares.is_finite()
    }

    pub(super) fn mean(&self) -> f64 {
        self.origin + self.sum / self.count
    }

    /// Divided by the number of values. Rounding may leave less than nothing of a constant channel.
    fn variance(&self) -> f64 {
        let variance = (self.squares - self.sum * self.sum / self.count) / self.count;
        if variance < 0.0 { 0.0 } else { variance }
    }

    pub(super) fn saved(&self, eps: f32) -> SavedStatistics {
        let (mean, variance) = (self.mean(), self.variance());
        let pivot = mean as f32;
        let difference = if mean.is_finite() { (mean - f64::from(pivot)) as f32 } else { 0.0 };
        // Beyond f32 the variance is infinite, and y is beta.
        let variance = if variance > f32::MAX.into() { f64::INFINITY } else { variance };
        let invstd = (1.0 / (variance + f64::from(eps)).sqrt()) as f32;
        SavedStatistics { pivot, difference, variance: variance as f32, invstd }
    }

    /// Moves one channel's running statistics.
    pub(super) fn update(&self, options: RunningStatistics, mean: &mut f32, variance: &mut f32) {
        let momentum = options.momentum.weight().map_or(0.0, f64::from);
        let correction = match options.variance {
            RunningVariance::Unbiased => self.count / (self.count - 1.0),
            RunningVariance::Biased => 1.0,
        };
        let average = |old: f32, new: f64| ((1.0 - momentum) * f64::from(old) + momentum * new) as f32;
        *mean = average(*mean, self.mean());
        *variance = average(*variance, self.variance() * correction);
    }
}

/// Whether the sums of a block are to be taken again about its mean: if that lies further from the pivot than the
/// block's standard deviation. Nearer by, rounding leaves in the squares at most twice what it does about the mean,
/// whatever the data.
#[inline(always)]
pub(super) fn is_far(count: f64, [sum, squares]: [f64; 2]) -> bool {
    // (sum / count)^2 > squares / count - (sum / count)^2; NaN is never far.
    2.0 * sum * sum > count * squares
}

/// The mean of values whose sum about a pivot that is.
pub(super) fn moved(pivot: f32, count: f64, sum: f64) -> f32 {
    (f64::from(pivot) + sum / count) as f32
}
