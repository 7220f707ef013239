//! The plot of accuracy over steps, of several networks and seeds.

use std::error::Error;
use std::path::Path;

use crate::chart::{self, Line, Panel};
use crate::curve::Curve;
use crate::score::Score;

/// A network in the plot.
#[derive(Debug)]
pub struct Network<'a> {
    pub name: String,
    pub colour: (u8, u8, u8),
    /// One of each seed.
    pub curves: &'a [Curve],
}

/// Bold is the mean over seeds; pale is each of them, where there are several.
pub fn draw(path: &Path, networks: &[Network<'_>], steps: usize) -> Result<(), Box<dyn Error>> {
    let mut lines = Vec::new();
    for Network { colour, curves, .. } in networks.iter().filter(|network| network.curves.len() > 1) {
        lines.extend(curves.iter().map(|curve| {
            let points = curve.iter().map(|score| (score.step as f64, score.accuracy())).collect();
            Line { name: None, colour: *colour, points }
        }));
    }
    for Network { name, colour, curves } in networks {
        lines.push(Line { name: Some(name.clone()), colour: *colour, points: mean(curves, steps) });
    }
    let panel = Panel {
        title: "Test accuracy over training steps",
        x: "training steps",
        y: "accuracy",
        range: (0.0, 1.0),
        lines,
    };
    chart::draw(path, &[panel])
}

/// Where a curve ended early, its last score holds: that network will not change any more.
fn mean(curves: &[Curve], steps: usize) -> Vec<(f64, f64)> {
    let longest = curves.iter().max_by_key(|curve| curve.len());
    let mut places: Vec<usize> = longest.into_iter().flatten().map(|score| score.step).collect();
    if places.last().is_some_and(|&last| last < steps) {
        places.push(steps);
    }
    let at = |place: usize| {
        let scores = curves.iter().filter_map(|curve| {
            curve.iter().find(|score| score.step >= place).or(curve.last()).map(Score::accuracy)
        });
        let scores: Vec<f64> = scores.collect();
        (place as f64, scores.iter().sum::<f64>() / scores.len().max(1) as f64)
    };
    places.into_iter().map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_that_ended_early_stays_where_it_was() {
        let score = |step, right| Score { step, right, total: 100, loss: Some(1.0) };
        let curves = [vec![score(10, 25), score(20, 50), score(30, 75)], vec![score(10, 75), score(20, 0)]];
        assert_eq!(mean(&curves, 30), [(10.0, 0.5), (20.0, 0.25), (30.0, 0.375)]);
        assert_eq!(mean(&curves[1..], 30), [(10.0, 0.75), (20.0, 0.0), (30.0, 0.0)]);
    }
}
