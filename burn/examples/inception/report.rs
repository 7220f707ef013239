//! The paper's table with ours beside it, its figure 2, and the curves as numbers.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;

use crate::chart::{self, Line, Panel};
use crate::checkpoint::write_whole;
use crate::results::{Results, Spread, best, broke, steps_to};
use crate::variant::Variant;

/// The paper's figure 3, extended.
pub fn table(results: &[Results]) -> String {
    let mut text = String::new();
    let baseline = results.iter().find(|results| results.variant == Variant::Inception);
    let row = |cells: [&str; 8]| {
        let [network, steps, speed, best, rate, our_steps, our_speed, our_best] = cells;
        format!(
            "{network:<18} {steps:>9} {speed:>9} {best:>7}  |{rate:>9} {our_steps:>18} {our_speed:>9} {our_best:>15}\n"
        )
    };
    text += &row(["", "paper:", "", "", "here:", "", "", ""]);
    text += &row(["network", "steps/1e6", "speed-up", "best %", "rate", "steps", "speed-up", "best %"]);
    for results in results {
        let paper = results.variant.paper();
        let paper_steps = paper.steps.map(|steps| format!("{steps:.1}"));
        let paper_speed =
            paper.steps.zip(Variant::Inception.paper().steps).map(|(own, base)| format!("{:.1}", base / own));
        let paper_best = paper.best.map(|best| format!("{best:.1}"));
        let reach = reach(results, baseline);
        text += &row([
            results.variant.name(),
            paper_steps.as_deref().unwrap_or(if paper.remark.is_empty() { "-" } else { paper.remark }),
            paper_speed.as_deref().unwrap_or(""),
            paper_best.as_deref().unwrap_or(if paper.remark.is_empty() { "-" } else { "" }),
            &significant(results.rate),
            &reach.steps,
            &reach.speed,
            &accuracy(results),
        ]);
    }
    text
}

/// Four digits that matter: products like 0.012 * 30 have more that do not.
fn significant(rate: f64) -> String {
    format!("{rate:.6}").trim_end_matches('0').to_owned()
}

struct Reach {
    steps: String,
    speed: String,
}

/// How soon the seeds of a network reach what Inception reached at best with the same seed.
fn reach(results: &Results, baseline: Option<&Results>) -> Reach {
    let nothing = || Reach { steps: "-".into(), speed: "-".into() };
    let Some(baseline) = baseline else {
        return nothing();
    };
    let (mut steps, mut speeds) = (Vec::new(), Vec::new());
    for (curve, base) in results.curves.iter().zip(&baseline.curves) {
        let goal = best(base);
        if let (Some(own), Some(other)) = (steps_to(curve, goal), steps_to(base, goal)) {
            steps.push(own as f64);
            speeds.push(other as f64 / own as f64);
        }
    }
    let (Some(spread), Some(speed)) = (Spread::of(&steps), Spread::of(&speeds)) else {
        return nothing();
    };
    let seeds = results.curves.len();
    // A mean over those that got there, and how many these are.
    let part = if steps.len() < seeds { format!(" ({} of {seeds})", steps.len()) } else { String::new() };
    Reach { steps: spread.show(0) + &part, speed: format!("{:.1}", speed.mean) }
}

fn accuracy(results: &Results) -> String {
    let values: Vec<f64> = results.curves.iter().map(|curve| 100.0 * best(curve)).collect();
    let shown = Spread::of(&values).map_or_else(|| "-".into(), |spread| spread.show(1));
    let broken = results.curves.iter().filter(|curve| broke(curve).is_some()).count();
    if broken > 0 { format!("{shown} !{broken}") } else { shown }
}

/// What the signs in the table mean, and where runs broke.
pub fn notes(results: &[Results]) -> String {
    let mut text = String::from(
        "steps: until the best accuracy of Inception of the same seed; speed-up: the steps of Inception by these\n",
    );
    for results in results {
        for step in results.curves.iter().filter_map(|curve| broke(curve)) {
            let _ = writeln!(text, "! {}: no longer finite at step {step}", results.variant.name());
        }
    }
    text
}

/// The paper's figure 2: accuracy over steps. Bold is the mean over seeds, pale is each of them.
pub fn figure(path: &Path, results: &[Results], steps: usize) -> Result<(), Box<dyn Error>> {
    let mut lines = Vec::new();
    for results in results {
        let colour = results.variant.colour();
        if results.curves.len() > 1 {
            lines.extend(results.curves.iter().map(|curve| {
                let points = curve.iter().map(|score| (score.step as f64, score.accuracy())).collect();
                Line { name: None, colour, points }
            }));
        }
    }
    for results in results {
        let name = Some(format!("{} (rate {})", results.variant.name(), significant(results.rate)));
        lines.push(Line { name, colour: results.variant.colour(), points: mean(results, steps) });
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
fn mean(results: &Results, steps: usize) -> Vec<(f64, f64)> {
    let longest = results.curves.iter().max_by_key(|curve| curve.len());
    let mut places: Vec<usize> = longest.into_iter().flatten().map(|score| score.step).collect();
    if places.last().is_some_and(|&last| last < steps) {
        places.push(steps);
    }
    let at = |place: usize| {
        let scores = results.curves.iter().filter_map(|curve| {
            curve.iter().find(|score| score.step >= place).or(curve.last()).map(|score| score.accuracy())
        });
        let scores: Vec<f64> = scores.collect();
        (place as f64, scores.iter().sum::<f64>() / scores.len().max(1) as f64)
    };
    places.into_iter().map(at).collect()
}

/// One row for each score.
pub fn curves(path: &Path, results: &[Results], first_seed: u64) -> std::io::Result<()> {
    let mut text = String::from("network,rate,seed,step,accuracy,loss\n");
    for results in results {
        for (seed, curve) in (first_seed..).zip(&results.curves) {
            for score in curve {
                let loss = score.loss.map_or_else(|| "inf".into(), |loss| loss.to_string());
                let (name, rate) = (results.variant.name(), significant(results.rate));
                let _ = writeln!(text, "{name},{rate},{seed},{},{},{loss}", score.step, score.accuracy());
            }
        }
    }
    write_whole(path, &[text.as_bytes()])
}
