//! The table.

use crate::columns::aligned;
use crate::curve::{broke, smoothed, steps_to};
use crate::drift;
use crate::network::UNITS;
use crate::reached::Reached;
use crate::results::Results;
use crate::spread::Spread;

/// A row for each network. The goal is the best accuracy of the first, the one without batch norm, with the same seed.
pub fn table(results: &[Results], steps: usize) -> String {
    let goals = results.first().map(Results::best).unwrap_or_default();
    let head = ["network", "best %", "last %", "steps to goal", "drift p15", "p50", "p85", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(results.iter().map(|results| row(results, &goals, steps)));
    let goal = percent(&goals);
    format!(
        "{}\n\
         goal: the best accuracy without batch norm with the same seed, {goal} %\n\
         accuracies: the median of three neighbouring looks at the test images\n\
         drift: range of a percentile of a sigmoid's inputs (last hidden layer) after the first tenth of the steps, by \
         that unit's mean p85 - p15; median over the {UNITS} units\n\
         {}",
        aligned(&rows),
        if goals.len() > 1 {
            "+-: standard deviation over seeds; steps where some never reach the goal: the median, and how many do\n"
        } else {
            ""
        }
    )
}

fn row(results: &Results, goals: &[f64], steps: usize) -> Vec<String> {
    let curves = results.curves();
    let last: Vec<f64> =
        curves.iter().filter_map(|curve| smoothed(curve).last().map(|&(_, accuracy)| accuracy)).collect();
    let reached: Vec<Option<usize>> =
        curves.iter().zip(goals).map(|(curve, &goal)| steps_to(curve, goal)).collect();
    let drifts: Vec<[f64; 3]> =
        results.runs.iter().filter_map(|(_, looks)| drift::of_layer(looks, steps)).collect();
    let drift = |place: usize| show(&drifts.iter().map(|drift| drift[place]).collect::<Vec<_>>(), 2);
    let ended: Vec<String> = (results.runs.iter().zip(&curves))
        .filter_map(|((seed, _), curve)| broke(curve).map(|step| format!("{step} (seed {seed})")))
        .collect();
    let remark = if ended.is_empty() {
        String::new()
    } else {
        format!("no longer finite at step {}", ended.join(", "))
    };
    vec![
        results.name.to_owned(),
        percent(&results.best()),
        percent(&last),
        to_goal(reached),
        drift(0),
        drift(1),
        drift(2),
        remark,
    ]
}

/// A mean has no room for "never".
fn to_goal(reached: Vec<Option<usize>>) -> String {
    match reached.iter().map(|steps| steps.map(|steps| steps as f64)).collect::<Option<Vec<f64>>>() {
        Some(steps) => show(&steps, 0),
        None => Reached(reached).show(),
    }
}

fn percent(accuracies: &[f64]) -> String {
    show(&accuracies.iter().map(|accuracy| 100.0 * accuracy).collect::<Vec<_>>(), 1)
}

fn show(values: &[f64], digits: usize) -> String {
    Spread::of(values).map_or_else(|| "none".into(), |spread| spread.show(digits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Look;
    use crate::score::Score;

    fn looks(right: &[usize], middle: &[f32]) -> Vec<Look> {
        let look = |(index, (&right, &middle)): (usize, (&usize, &f32))| Look {
            score: Score { step: 10 * index, right, total: 100, loss: (right > 0).then_some(1.0) },
            percentiles: vec![[middle - 1.0, middle, middle + 1.0].map(Some); 4],
        };
        right.iter().zip(middle).enumerate().map(look).collect()
    }

    #[test]
    fn networks_are_compared_seed_by_seed() {
        let without = Results {
            name: "without",
            colour: (0, 0, 0),
            runs: vec![
                (1, looks(&[10, 20, 30, 30], &[0.0, 0.0, 1.0, 2.0])),
                (2, looks(&[10, 40, 40, 40], &[0.0, 0.0, 1.0, 2.0])),
            ],
        };
        let with = Results {
            name: "with",
            colour: (0, 0, 0),
            runs: vec![
                (1, looks(&[10, 30, 50, 50], &[0.0, 0.0, 1.0, 2.0])),
                (2, looks(&[10, 30, 30, 0], &[0.0, 0.0, 1.0, 1.0])),
            ],
        };
        let text = table(&[without, with], 30);
        let lines: Vec<&str> = text.lines().collect();
        let cells = |line: &str| {
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            cells(lines[1]),
            [
                "without",
                "35.0 +- 7.1",
                "35.0 +- 7.1",
                "15 +- 7",
                "1.00 +- 0.00",
                "1.00 +- 0.00",
                "1.00 +- 0.00"
            ]
        );
        assert_eq!(cells(lines[2])[3], "never (1 of 2)");
        assert_eq!(cells(lines[2])[7], "no longer finite at step 30 (seed 2)");
    }
}
