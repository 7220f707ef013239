//! How far results may be from the f64 reference: the bounds that this crate states, as code.

use wgpu_batchnorm::reference::Statistics;
use wgpu_batchnorm::verify::{Comparison, compare};
use wgpu_batchnorm::{Dtype, Shape};

/// A result of batch normalization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    Output,
    BatchMean,
    BatchVar,
    RunningMean,
    RunningVar,
    GradInput,
    GradWeight,
    GradBias,
    GradResidual,
    NumBatchesTracked,
}

impl Quantity {
    pub fn name(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::BatchMean => "batch_mean",
            Self::BatchVar => "batch_var",
            Self::RunningMean => "running_mean",
            Self::RunningVar => "running_var",
            Self::GradInput => "grad_input",
            Self::GradWeight => "grad_weight",
            Self::GradBias => "grad_bias",
            Self::GradResidual => "grad_residual",
            Self::NumBatchesTracked => "num_batches_tracked",
        }
    }

    /// Whether it has the dimensions and the type of x, not one value per channel.
    pub fn is_tensor(self) -> bool {
        [Self::Output, Self::GradInput, Self::GradResidual].contains(&self)
    }

    /// Whether it is a whole number, which has no error.
    pub fn is_count(self) -> bool {
        self == Self::NumBatchesTracked
    }
}

/// What went into a step, as stored.
pub struct Step<'a> {
    pub shape: &'a Shape,
    pub x: &'a [f64],
    /// What x is normalized by.
    pub statistics: &'a Statistics,
    pub eps: f64,
    pub gamma: Option<&'a [f64]>,
    /// The gradient by what the layer gives, before an activation.
    pub dy: Option<&'a [f64]>,
    /// Running statistics before the step, and the momentum.
    pub running: Option<(&'a Statistics, f64)>,
}

/// A result held against what it should be.
pub struct Judgement {
    pub quantity: Quantity,
    pub comparison: Comparison,
    /// The bound of the value that is worst by its bound.
    pub bound: f64,
}

/// Over the values of one channel.
#[derive(Clone, Default)]
struct Sums {
    largest_x_hat: f64,
    dy: f64,
    dy_squares: f64,
    dy_x_hat: f64,
    dy_x_hat_squares: f64,
}

/// What the bounds of a layer with more than normalization are, value by value; where empty, those of a plain one.
#[derive(Default)]
pub struct Tail {
    /// In place of the plain bound.
    pub output: Vec<f64>,
    pub grad_input: Vec<f64>,
    pub grad_residual: Vec<f64>,
    /// Beside the plain bound, per channel.
    pub grad_weight: Vec<f64>,
    pub grad_bias: Vec<f64>,
}

/// The bounds of one step.
pub struct Bounds {
    dtype: Dtype,
    pub output: f64,
    pub grad_input: f64,
    /// What rounding each term may do to the sums behind the gradients of the parameters, where they cancel.
    grad_weight: f64,
    grad_bias: f64,
    mean: Vec<f64>,
    variance: Vec<f64>,
    running_mean: Vec<f64>,
    running_var: Vec<f64>,
    pub tail: Tail,
}

impl Bounds {
    pub fn of(step: &Step<'_>) -> Self {
        let channels = step.shape.channels() as usize;
        let Statistics { mean, variance } = step.statistics;
        let gamma = |channel: usize| step.gamma.map_or(1.0, |gamma| gamma[channel]);
        let invstd: Vec<f64> = variance.iter().map(|variance| 1.0 / (variance + step.eps).sqrt()).collect();

        let mut largest_dy = 0.0f64;
        let mut sums = vec![Sums::default(); channels];
        // Rows of values of one channel.
        let inner = (step.shape.inner() as usize).max(1);
        for (row, x) in step.x.chunks(inner).enumerate() {
            let channel = row % channels;
            for (k, x) in x.iter().enumerate() {
                let x_hat = ((x - mean[channel]) * invstd[channel]).abs();
                let sums = &mut sums[channel];
                sums.largest_x_hat = largest(sums.largest_x_hat, x_hat);
                if let Some(dy) = step.dy {
                    let dy = dy[row * inner + k];
                    largest_dy = largest(largest_dy, dy.abs());
                    sums.dy += dy;
                    sums.dy_squares += dy * dy;
                    sums.dy_x_hat += (dy * x_hat).abs();
                    sums.dy_x_hat_squares += (dy * x_hat).powi(2);
                }
            }
        }
        let values = f64::from(step.shape.values_per_channel().max(1));
        let most = |value: &dyn Fn(usize) -> f64| (0..channels).map(value).fold(0.0, largest);
        let largest_x_hat = most(&|c| sums[c].largest_x_hat);
        // Beside an outlier the projection on x_hat is larger than dy.
        let projection = |c: usize| {
            let slope = (gamma(c) * invstd[c]).abs();
            slope * sums[c].largest_x_hat * (sums[c].dy_x_hat + 0.25 * sums[c].dy.abs()) / values
        };
        let grad_input = 2e-6 * most(&projection);
        let largest_gamma = (0..channels).map(|c| gamma(c).abs()).fold(0.0, largest);
        let largest_slope = (0..channels).map(|c| (gamma(c) * invstd[c]).abs()).fold(0.0, largest);

        // Each part of a mean or variance is right to the digits that f32 has; the mean is right to a fraction of the
        // spread, not of itself. The last terms are what f64 loses on the other side, and squares below the range of f32.
        let mean_bound: Vec<f64> = (0..channels).map(|c| 2e-6 / invstd[c] + 1e-15 * mean[c].abs()).collect();
        let variance_bound: Vec<f64> = (0..channels)
            .map(|c| 4e-6 * variance[c] + (1e-15 * mean[c]).powi(2) + f64::from(f32::MIN_POSITIVE))
            .collect();
        let average = |old: &[f64], momentum: f64, new: &[f64], bound: &[f64]| -> Vec<f64> {
            let parts = |c: usize| ((1.0 - momentum) * old[c]).abs() + (momentum * new[c]).abs();
            (0..channels).map(|c| 3e-7 * parts(c) + 2.0 * momentum.abs() * bound[c]).collect()
        };
        let (running_mean, running_var) = match step.running {
            Some((old, momentum)) => (
                average(&old.mean, momentum, mean, &mean_bound),
                average(&old.variance, momentum, variance, &variance_bound),
            ),
            None => Default::default(),
        };
        Self {
            dtype: step.shape.dtype(),
            output: 2e-6 * (1.0 + largest_gamma * largest_x_hat),
            grad_input: grad_input.max(2e-6 * largest_slope * (1.0 + 1.5 * largest_dy)),
            // A mean that is off by 5e-7 of the spread, which is what one f32 holds, is so for each term of the sum.
            grad_weight: 5e-7 * most(&|c| sums[c].dy_x_hat_squares.sqrt() + sums[c].dy.abs()),
            grad_bias: 5e-7 * most(&|c| sums[c].dy_squares.sqrt()),
            mean: mean_bound,
            variance: variance_bound,
            running_mean,
            running_var,
            tail: Tail::default(),
        }
    }

    /// Compares by the bound of the quantity. `expected_in_f32`: the expected values themselves were rounded to f32.
    pub fn judge(
        &self,
        quantity: Quantity,
        actual: &[f64],
        expected: &[f64],
        expected_in_f32: bool,
    ) -> Judgement {
        let largest_expected = expected.iter().map(|value| value.abs()).fold(0.0, largest);
        let own = |index: usize, expected: f64| match quantity {
            Quantity::Output => rounded(self.dtype, at(&self.tail.output, index, self.output), expected),
            Quantity::GradInput => {
                rounded(self.dtype, at(&self.tail.grad_input, index, self.grad_input), expected)
            }
            // What passes as it is, or not at all, has no error.
            Quantity::GradResidual => match at(&self.tail.grad_residual, index, 0.0) {
                0.0 => 0.0,
                bound => rounded(self.dtype, bound, expected),
            },
            Quantity::BatchMean => self.mean[index],
            Quantity::BatchVar => self.variance[index],
            // Those that no batch is let into stay as they are.
            Quantity::RunningMean => at(&self.running_mean, index, 0.0),
            Quantity::RunningVar => at(&self.running_var, index, 0.0),
            Quantity::GradWeight => {
                (2e-5 * largest_expected).max(self.grad_weight) + at(&self.tail.grad_weight, index, 0.0)
            }
            Quantity::GradBias => {
                (2e-5 * largest_expected).max(self.grad_bias) + at(&self.tail.grad_bias, index, 0.0)
            }
            Quantity::NumBatchesTracked => 0.0,
        };
        let bound = |index: usize, expected: f64| {
            let slack = if expected_in_f32 { 0.5 * spacing(Dtype::F32, expected) } else { 0.0 };
            let bound = own(index, expected) + slack;
            // Nothing but the same NaN or infinity is right in a channel that has one.
            if bound.is_finite() { bound } else { 0.0 }
        };
        // What is beyond the storage type's range is stored as infinity.
        let stored = |value: f64| match self.dtype {
            _ if quantity.is_count() => value,
            Dtype::F16 if quantity.is_tensor() && half::f16::from_f64(value).is_infinite() => {
                value * f64::INFINITY
            }
            _ if (value as f32).is_infinite() => value * f64::INFINITY,
            _ => value,
        };
        let stored: Vec<f64> = expected.iter().map(|&value| stored(value)).collect();
        let comparison = compare(actual, &stored, |index| bound(index, expected[index]));
        let bound = if expected.is_empty() { 0.0 } else { bound(comparison.at, comparison.expected) };
        Judgement { quantity, comparison, bound }
    }
}

/// The value of an index, if there are any.
fn at(values: &[f64], index: usize, absent: f64) -> f64 {
    values.get(index).copied().unwrap_or(absent)
}

/// The larger one, not looking at what is not finite: it is compared as it is.
fn largest(a: f64, b: f64) -> f64 {
    if b.is_finite() { a.max(b) } else { a }
}

/// The bound of an f32 result after it was rounded to its storage type.
pub fn rounded(dtype: Dtype, bound: f64, expected: f64) -> f64 {
    let magnitude = expected.abs() + bound;
    match dtype {
        Dtype::F16 => bound + 0.5 * spacing(dtype, magnitude),
        // No f32 is nearer than half its spacing, which a large beta makes more than the bound.
        Dtype::F32 => bound.max(spacing(dtype, magnitude)),
    }
}

/// The distance between neighbouring values of a storage type.
pub fn spacing(dtype: Dtype, magnitude: f64) -> f64 {
    let (digits, least) = match dtype {
        Dtype::F32 => (23, -126),
        Dtype::F16 => (10, -14),
    };
    let magnitude = magnitude.abs();
    if !magnitude.is_finite() {
        return 0.0;
    }
    let exponent = if magnitude > 0.0 { magnitude.log2().floor() as i32 } else { least };
    2.0f64.powi(exponent.max(least) - digits)
}
