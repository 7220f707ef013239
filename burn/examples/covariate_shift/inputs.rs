//! The paper's figure 1, (b) and (c): what enters a sigmoid, over training.

use std::error::Error;
use std::path::Path;

use crate::chart::{self, Line, Panel};
use crate::drift::typical;
use crate::percentiles::PERCENTS;
use crate::results::Results;
use crate::run::Look;

/// Of the typical unit of each network with the first seed, on one scale.
pub fn draw(path: &Path, results: &[Results], steps: usize) -> Result<(), Box<dyn Error>> {
    let mut shown: Vec<(String, &Results, &[Look], usize)> = Vec::new();
    for results in results {
        if let Some((seed, looks)) = results.runs.first() {
            let unit = typical(looks, steps);
            let title = format!("Inputs of a sigmoid, {} (seed {seed}, unit {unit})", results.name);
            shown.push((title, results, looks, unit));
        }
    }
    let mut range = (-1.0_f64, 1.0_f64);
    let mut panels = Vec::new();
    for (title, results, looks, unit) in &shown {
        let line = |place: usize| {
            let point = |look: &Look| {
                let value = (*look.percentiles.get(*unit)?)[place]?;
                Some((look.score.step as f64, f64::from(value)))
            };
            let name = Some(format!("{} % are below", PERCENTS[place]));
            let colour = [(31, 119, 180), results.colour, (44, 160, 44)][place];
            Line { name, colour, points: looks.iter().filter_map(point).collect() }
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
