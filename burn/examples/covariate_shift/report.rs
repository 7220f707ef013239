//! The table, and the paper's figure 1.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;

use crate::chart::{self, Line, Panel};
use crate::checkpoint::write_whole;
use crate::percentiles::{PERCENTS, travel, typical};
use crate::run::Look;

/// The looks at one network.
#[derive(Debug)]
pub struct Results {
    pub name: &'static str,
    pub colour: (u8, u8, u8),
    pub looks: Vec<Look>,
}

impl Results {
    fn best(&self) -> f64 {
        self.looks.iter().map(|look| look.score.accuracy()).fold(0.0, f64::max)
    }

    fn percentiles(&self) -> Vec<&[[f32; 3]]> {
        self.looks.iter().map(|look| look.percentiles.as_slice()).collect()
    }
}

/// A row for each network. The goal is the best accuracy of the first, the one without batch norm.
pub fn table(results: &[Results]) -> String {
    let goal = results.first().map_or(0.0, Results::best);
    let mut text = format!(
        "{:<20} {:>15} {:>15} {:>24} {:>16}\n",
        "network",
        "best accuracy",
        "last accuracy",
        format!("steps to {:.1} %", 100.0 * goal),
        "typical travel"
    );
    for results in results {
        let reached = results.looks.iter().find(|look| look.score.accuracy() >= goal);
        let steps = reached.map_or_else(|| "-".into(), |look| look.score.step.to_string());
        let last = results.looks.last().map_or(0.0, |look| look.score.accuracy());
        let percentiles = results.percentiles();
        let travel = travel(&percentiles, typical(&percentiles));
        let (best, last) = (100.0 * results.best(), 100.0 * last);
        let _ =
            writeln!(text, "{:<20} {best:>13.1} % {last:>13.1} % {steps:>24} {travel:>16.2}", results.name);
    }
    text + "typical travel: of the median of what enters a sigmoid of the last hidden layer, over the run; of the unit \
            with as many above it as below\n"
}

/// Accuracy over steps.
pub fn accuracy(path: &Path, results: &[Results]) -> Result<(), Box<dyn Error>> {
    let line = |results: &Results| Line {
        name: Some(results.name.to_owned()),
        colour: results.colour,
        points: results.looks.iter().map(|look| (look.score.step as f64, look.score.accuracy())).collect(),
    };
    let panel = Panel {
        title: "Test accuracy over training steps",
        x: "training steps",
        y: "accuracy",
        range: (0.0, 1.0),
        lines: results.iter().map(line).collect(),
    };
    chart::draw(path, &[panel])
}

/// What enters the sigmoid of the typical unit of each network, on one scale.
pub fn inputs(path: &Path, results: &[Results]) -> Result<(), Box<dyn Error>> {
    let units: Vec<usize> = results.iter().map(|results| typical(&results.percentiles())).collect();
    let titles: Vec<String> = (results.iter().zip(&units))
        .map(|(results, unit)| format!("Inputs of a sigmoid, {} (unit {unit})", results.name))
        .collect();
    let mut range = (-1.0_f64, 1.0_f64);
    let mut panels = Vec::new();
    for ((results, &unit), title) in results.iter().zip(&units).zip(&titles) {
        let line = |place: usize| {
            let points: Vec<(f64, f64)> = (results.looks.iter())
                .map(|look| (look.score.step as f64, f64::from(look.percentiles[unit][place])))
                .collect();
            let name = Some(format!("{} % are below", PERCENTS[place]));
            Line { name, colour: [(31, 119, 180), results.colour, (44, 160, 44)][place], points }
        };
        let lines = vec![line(0), line(1), line(2)];
        for &(_, y) in lines.iter().flat_map(|line| &line.points) {
            range = (range.0.min(y), range.1.max(y));
        }
        panels.push(Panel { title, x: "training steps", y: "input of the sigmoid", range, lines });
    }
    for panel in &mut panels {
        panel.range = (range.0 * 1.05, range.1 * 1.05);
    }
    chart::draw(path, &panels)
}

/// One row for each look: accuracy, loss, and the typical unit's percentiles.
pub fn curves(path: &Path, results: &[Results]) -> std::io::Result<()> {
    let mut text = String::from("network,step,accuracy,loss,unit,p15,p50,p85\n");
    for results in results {
        let unit = typical(&results.percentiles());
        for look in &results.looks {
            let loss = look.score.loss.map_or_else(|| "inf".into(), |loss| loss.to_string());
            let [low, median, high] = look.percentiles[unit];
            let (step, accuracy) = (look.score.step, look.score.accuracy());
            let _ = writeln!(text, "{},{step},{accuracy},{loss},{unit},{low},{median},{high}", results.name);
        }
    }
    write_whole(path, &[text.as_bytes()])
}
