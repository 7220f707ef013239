//! What came of one network, seed by seed.

use crate::curve::{Curve, best, steps_to};
use crate::variant::Variant;

/// A network's curves.
#[derive(Clone, Debug)]
pub struct Results {
    pub variant: Variant,
    /// The learning rates of its first and last step.
    pub rates: [f64; 2],
    /// Of that seed, and those after it.
    pub first_seed: u64,
    pub curves: Vec<Curve>,
}

impl Results {
    /// Steps of each seed to a goal of its own.
    pub fn steps_to(&self, goals: &[f64]) -> Vec<Option<usize>> {
        self.curves.iter().zip(goals).map(|(curve, &goal)| steps_to(curve, goal)).collect()
    }

    /// The best accuracy of each seed.
    pub fn best(&self) -> Vec<f64> {
        self.curves.iter().map(|curve| best(curve)).collect()
    }
}

/// The network whose best accuracy is the goal of all.
pub fn baseline(results: &[Results]) -> Option<&Results> {
    results.iter().find(|results| results.variant == Variant::Inception)
}

/// Four digits that matter: products like 0.012 * 30 have more that do not.
pub fn significant(rate: f64) -> String {
    if rate <= 0.0 || !rate.is_finite() {
        return rate.to_string();
    }
    let digits = (3 - rate.log10().floor() as i32).max(0) as usize;
    let text = format!("{rate:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::significant;

    #[test]
    fn rates_have_four_digits() {
        assert_eq!(significant(0.012 * 30.0), "0.36");
        assert_eq!(significant(0.02 * 0.7_f64.powi(6)), "0.002353");
        assert_eq!(significant(0.02), "0.02");
        assert_eq!(significant(30.0), "30");
        assert_eq!(significant(12345.6), "12346");
        assert_eq!(significant(0.0), "0");
    }
}
