//! What a curve says: the best accuracy, the steps to a goal, the end of what is finite.

use crate::median::median;
use crate::score::Score;

/// The looks at one run, in order.
pub type Curve = Vec<Score>;

/// Step and accuracy of each look, the accuracy as the median of it and its neighbours: a single look that is better
/// than the network, by the luck of a thousand images, is no best and no goal.
pub fn smoothed(curve: &[Score]) -> Vec<(usize, f64)> {
    let accuracy = |index: usize| {
        let near = index.saturating_sub(1)..curve.len().min(index + 2);
        median(&curve[near].iter().map(Score::accuracy).collect::<Vec<_>>()).unwrap_or_default()
    };
    curve.iter().enumerate().map(|(index, score)| (score.step, accuracy(index))).collect()
}

/// The best accuracy, of 1.
pub fn best(curve: &[Score]) -> f64 {
    smoothed(curve).into_iter().map(|(_, accuracy)| accuracy).fold(0.0, f64::max)
}

/// Steps until an accuracy is reached; none if it never is. Being right about nothing, as a network that is not finite
/// is, reaches no goal.
pub fn steps_to(curve: &[Score], goal: f64) -> Option<usize> {
    smoothed(curve)
        .into_iter()
        .find(|&(_, accuracy)| accuracy > 0.0 && accuracy >= goal)
        .map(|(step, _)| step)
}

/// The step at which a run was no longer finite.
pub fn broke(curve: &[Score]) -> Option<usize> {
    curve.iter().find(|score| score.loss.is_none()).map(|score| score.step)
}

/// A curve for tests: a look every 10 steps, with so many of 100 right; not finite where none is.
#[cfg(test)]
pub fn curve(right: &[usize]) -> Curve {
    let score = |(index, &right): (usize, &usize)| Score {
        step: 10 * (index + 1),
        right,
        total: 100,
        loss: (right > 0).then_some(1.0),
    };
    right.iter().enumerate().map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracies_are_medians_of_neighbours() {
        let accuracies: Vec<f64> =
            smoothed(&curve(&[10, 30, 80, 40, 60])).into_iter().map(|(_, accuracy)| accuracy).collect();
        assert_eq!(accuracies, [0.2, 0.3, 0.4, 0.6, 0.5]);
        assert_eq!(smoothed(&curve(&[10])), [(10, 0.1)]);
        assert!(smoothed(&[]).is_empty());
    }

    #[test]
    fn a_curve_has_its_goal_and_its_best() {
        let curve = curve(&[10, 50, 40, 60, 70, 0]);
        assert_eq!(best(&curve), 0.6);
        assert_eq!(
            (steps_to(&curve, 0.4), steps_to(&curve, 0.6), steps_to(&curve, 0.61)),
            (Some(20), Some(40), None)
        );
        assert_eq!(steps_to(&curve[5..], 0.0), None);
        assert_eq!(broke(&curve), Some(60));
    }
}
