//! What the curves say: steps to a goal, the best that was reached, and how both differ between seeds.

use crate::score::Score;
use crate::variant::Variant;

/// The curve of one seed.
pub type Curve = Vec<Score>;

/// A network's curves, seed by seed.
#[derive(Clone, Debug)]
pub struct Results {
    pub variant: Variant,
    pub rate: f64,
    pub curves: Vec<Curve>,
}

/// A mean over seeds, with the standard deviation of a single one where there are several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub mean: f64,
    pub deviation: Option<f64>,
}

/// The best accuracy of a curve, of 1.
pub fn best(curve: &[Score]) -> f64 {
    curve.iter().map(Score::accuracy).fold(0.0, f64::max)
}

/// Steps until an accuracy is reached.
pub fn steps_to(curve: &[Score], goal: f64) -> Option<usize> {
    curve.iter().find(|score| score.accuracy() >= goal).map(|score| score.step)
}

/// The step at which a run was no longer finite.
pub fn broke(curve: &[Score]) -> Option<usize> {
    curve.iter().find(|score| score.loss.is_none()).map(|score| score.step)
}

impl Spread {
    /// None of nothing.
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt());
        (!values.is_empty()).then_some(Self { mean, deviation })
    }

    pub fn show(&self, digits: usize) -> String {
        match self.deviation {
            Some(deviation) => format!("{:.digits$} +- {deviation:.digits$}", self.mean),
            None => format!("{:.digits$}", self.mean),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(right: &[usize]) -> Curve {
        let score = |(index, &right): (usize, &usize)| Score {
            step: 10 * (index + 1),
            right,
            total: 100,
            loss: (right > 0).then_some(1.0),
        };
        right.iter().enumerate().map(score).collect()
    }

    #[test]
    fn a_curve_has_its_goal_and_its_best() {
        let curve = curve(&[10, 50, 40, 60, 0]);
        assert_eq!((best(&curve), steps_to(&curve, 0.5), steps_to(&curve, 0.61)), (0.6, Some(20), None));
        assert_eq!(broke(&curve), Some(50));
    }

    #[test]
    fn spread_is_that_of_a_sample() {
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[2.0]).unwrap().show(1), "2.0");
        assert_eq!(Spread::of(&[1.0, 3.0]).unwrap().show(2), "2.00 +- 1.41");
    }
}
