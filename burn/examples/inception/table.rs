//! The paper's table with ours beside it: its figure 3, extended.

use crate::columns::aligned;
use crate::curve::broke;
use crate::median::median;
use crate::reached::{NEVER, Reached};
use crate::results::{Results, baseline, significant};
use crate::spread::Spread;
use crate::variant::Variant;

/// What the paper does not give.
const NOT_GIVEN: &str = "-";

/// A row for each network.
pub fn table(results: &[Results]) -> String {
    let goals = baseline(results).map(Results::best);
    let base = baseline(results).zip(goals.as_deref()).map(|(base, goals)| base.steps_to(goals));
    let cells = |cells: [&str; 9]| cells.map(str::to_owned).to_vec();
    let mut rows = vec![
        cells(["", "paper:", "", "", "here:", "", "", "", ""]),
        cells([
            "network",
            "steps/1e6",
            "speed-up",
            "best %",
            "rate",
            "steps",
            "speed-up",
            "best %",
            "remarks",
        ]),
    ];
    for results in results {
        let paper = results.variant.paper();
        let number =
            |value: Option<f64>| value.map_or_else(|| NOT_GIVEN.into(), |value| format!("{value:.1}"));
        let speed = paper.steps.zip(Variant::Inception.paper().steps).map(|(own, base)| base / own);
        let (our_steps, our_speed) = match goals.as_deref().zip(base.as_deref()) {
            Some((goals, base)) => reach(results.steps_to(goals), base),
            None => ("no goal".into(), "no goal".into()),
        };
        let [first, last] = results.rates.map(significant);
        let best: Vec<f64> = results.best().iter().map(|accuracy| 100.0 * accuracy).collect();
        rows.push(vec![
            results.variant.name().to_owned(),
            number(paper.steps),
            number(speed),
            number(paper.best),
            format!("{first} to {last}"),
            our_steps,
            our_speed,
            Spread::of(&best).map_or_else(String::new, |best| best.show(1)),
            remarks(results),
        ]);
    }
    aligned(&rows)
}

/// How soon the seeds of a network reach what Inception reached at best with the same seed, and how much sooner than
/// Inception that is. A speed-up of 0 is that of a seed that never got there.
fn reach(steps: Vec<Option<usize>>, base: &[Option<usize>]) -> (String, String) {
    let ratio = |(own, base): (&Option<usize>, &Option<usize>)| match (own, base) {
        (Some(own), Some(base)) => *base as f64 / (*own).max(1) as f64,
        _ => 0.0,
    };
    let speeds: Vec<f64> = steps.iter().zip(base).map(ratio).collect();
    let show = |speed: f64| if speed > 0.0 { format!("{speed:.1}") } else { NEVER.to_owned() };
    let least = speeds.iter().copied().fold(f64::INFINITY, f64::min);
    let most = speeds.iter().copied().fold(0.0, f64::max);
    let mut speed = show(median(&speeds).unwrap_or_default());
    if speeds.len() > 1 && most > 0.0 {
        speed += &format!(" ({} to {})", show(least), show(most));
    }
    (Reached(steps).show(), speed)
}

fn remarks(results: &Results) -> String {
    let mut remarks = Vec::new();
    if let Some(remark) = results.variant.paper().remark {
        remarks.push(format!("paper: {remark}"));
    }
    let broken: Vec<String> = (results.first_seed..=u64::MAX)
        .zip(&results.curves)
        .filter_map(|(seed, curve)| broke(curve).map(|step| format!("{step} (seed {seed})")))
        .collect();
    if !broken.is_empty() {
        remarks.push(format!("here: no longer finite at step {}", broken.join(", ")));
    }
    remarks.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curve::curve;

    fn results(variant: Variant, curves: &[&[usize]]) -> Results {
        let curves = curves.iter().map(|right| curve(right)).collect();
        Results { variant, rates: [0.02, 0.014], first_seed: 4, curves }
    }

    fn row(text: &str, network: &str) -> Vec<String> {
        let line = text.lines().find(|line| line.starts_with(network)).unwrap_or_default();
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn never_is_said_and_ranked_last() {
        let text = table(&[
            results(Variant::Inception, &[&[10, 20, 30, 40, 40], &[10, 20, 30, 40, 40]]),
            results(Variant::BnX5, &[&[40, 40, 40, 50, 50], &[10, 40, 40, 50, 50]]),
            results(Variant::BnX30, &[&[10, 40, 40, 40, 40], &[10, 10, 10, 10, 10]]),
            results(Variant::InceptionX5, &[&[10, 10, 0], &[10, 0]]),
        ]);
        let inception =
            ["Inception", "31.0", "1.0", "72.2", "0.02 to 0.014", "40", "1.0 (1.0 to 1.0)", "40.0 +- 0.0"];
        assert_eq!(row(&text, "Inception "), inception);
        assert_eq!(row(&text, "BN-x5")[5..7], ["15", "3.0 (2.0 to 4.0)"]);
        assert_eq!(row(&text, "BN-x30")[5..7], ["never (1 of 2)", "1.0 (never to 2.0)"]);
        let broken = row(&text, "Inception-x5");
        assert_eq!(broken[1..4], ["-", "-", "-"]);
        assert_eq!(broken[5..7], ["never", "never"]);
        assert_eq!(
            broken[8],
            "paper: parameters reach machine infinity; here: no longer finite at step 30 (seed 4), 20 (seed 5)"
        );
    }

    #[test]
    fn without_inception_there_is_no_goal() {
        let text = table(&[results(Variant::BnX5, &[&[40, 50]])]);
        assert_eq!(row(&text, "BN-x5")[5..], ["no goal", "no goal", "45.0"]);
    }
}
