//! Compares results with the reference: strict on length, NaN and infinities.
//!
//! ```
//! use wgpu_batchnorm::verify::compare;
//!
//! let comparison = compare(&[1.0, 2.5], &[1.0, 2.0], |_| 0.1);
//! assert_eq!((comparison.worst, comparison.failures), (0.5, 1));
//! ```

/// How far a result is from what it should be.
///
/// ```
/// use wgpu_batchnorm::verify::compare;
///
/// assert!(compare(&[1.0], &[1.0], |_| 0.0).passed());
/// // A comparison that sees nothing has not passed anything off: lengths have to agree.
/// assert!(!compare(&[], &[1.0], |_| 1.0).passed());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Largest absolute error; infinite where one side is NaN or infinite and the other is not the same.
    pub worst: f64,
    /// Largest absolute error divided by the largest magnitude expected; NaN where nothing finite but 0 is expected.
    pub worst_relative: f64,
    /// Largest absolute error divided by its bound; infinite for a bound of 0 that is missed.
    pub worst_of_bound: f64,
    /// Index of the value that is worst by its bound.
    pub at: usize,
    /// Its actual value.
    pub actual: f64,
    /// Its expected value.
    pub expected: f64,
    /// Number of values out of bounds, at least 1 where the lengths differ.
    pub failures: usize,
}

impl Comparison {
    /// Whether every value is within its bound.
    pub fn passed(&self) -> bool {
        self.failures == 0
    }
}

/// Says what is worst, and by how much.
impl std::fmt::Display for Comparison {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { worst, worst_of_bound, at, actual, expected, failures, .. } = self;
        write!(
            f,
            "worst error {worst:.3e}, {worst_of_bound:.3} of its bound, at {at}: {actual:e} for {expected:e}; \
             {failures} out of bounds"
        )
    }
}

/// Compares value by value. `bound` gives the absolute error that is allowed for the value of an index.
///
/// NaN is right only where NaN is expected, an infinity only where the same one is; a NaN bound allows nothing.
///
/// ```
/// use wgpu_batchnorm::verify::compare;
///
/// assert!(compare(&[f64::NAN], &[f64::NAN], |_| 0.0).passed());
/// assert!(!compare(&[f64::NAN], &[0.0], |_| 1e9).passed());
/// ```
pub fn compare(actual: &[f64], expected: &[f64], bound: impl Fn(usize) -> f64) -> Comparison {
    let mut comparison = Comparison {
        worst: 0.0,
        worst_relative: 0.0,
        worst_of_bound: 0.0,
        at: 0,
        actual: actual.first().copied().unwrap_or(f64::NAN),
        expected: expected.first().copied().unwrap_or(f64::NAN),
        failures: 0,
    };
    if actual.len() != expected.len() {
        let at = actual.len().min(expected.len());
        let infinite = f64::INFINITY;
        return Comparison {
            worst: infinite,
            worst_relative: infinite,
            worst_of_bound: infinite,
            at,
            actual: actual.get(at).copied().unwrap_or(f64::NAN),
            expected: expected.get(at).copied().unwrap_or(f64::NAN),
            failures: actual.len().abs_diff(expected.len()),
        };
    }
    for (at, (&actual, &expected)) in actual.iter().zip(expected).enumerate() {
        let error = error(actual, expected);
        let bound = bound(at);
        // An infinite error is no smaller than an infinite bound.
        let within = error <= bound && error.is_finite();
        let of_bound = match (within, error == 0.0) {
            (true, true) => 0.0,
            (true, false) => error / bound,
            // Also for a bound of 0 or NaN.
            (false, _) if bound > 0.0 && error.is_finite() => error / bound,
            (false, _) => f64::INFINITY,
        };
        comparison.failures += usize::from(!within);
        comparison.worst = comparison.worst.max(error);
        if of_bound > comparison.worst_of_bound {
            comparison = Comparison { worst_of_bound: of_bound, at, actual, expected, ..comparison };
        }
    }
    let magnitudes = expected.iter().map(|value| value.abs()).filter(|value| value.is_finite());
    let largest = magnitudes.fold(0.0, f64::max);
    comparison.worst_relative = if largest > 0.0 { comparison.worst / largest } else { f64::NAN };
    comparison
}

/// Absolute error; 0 for two NaN or two equal infinities, infinite for other pairs with either.
fn error(actual: f64, expected: f64) -> f64 {
    if actual == expected || (actual.is_nan() && expected.is_nan()) {
        return 0.0;
    }
    let error = (actual - expected).abs();
    if error.is_nan() { f64::INFINITY } else { error }
}
