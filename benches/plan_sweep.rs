//! Every strategy on every standard shape, forced, beside the one that the plan takes by itself: the figures behind
//! the rules of `src/plan/policy.rs`.
//!
//! `cargo bench --bench plan_sweep -- --help`

#[path = "../examples/support/adapter.rs"]
mod adapter;
#[path = "support/cell.rs"]
mod cell;
#[path = "support/contest.rs"]
mod contest;
#[path = "support/copy.rs"]
mod copy;
#[path = "support/gpu.rs"]
mod gpu;
#[path = "../examples/support/guard.rs"]
mod guard;
#[path = "support/layer.rs"]
mod layer;
#[path = "support/options.rs"]
mod options;
#[path = "support/row.rs"]
mod row;
#[path = "support/session.rs"]
mod session;
#[path = "support/statistics.rs"]
mod statistics;
#[path = "support/stopwatch.rs"]
mod stopwatch;
#[path = "support/table.rs"]
mod table;
#[path = "support/tensors.rs"]
mod tensors;

use std::error::Error;
use std::process::ExitCode;

use wgpu_batchnorm::{BackwardOptions, Caps, Plan, Shape, Strategy, TrainingOptions};

use cell::{Cache, Layout, Operation};
use row::Row;
use session::{Candidate, Group, Session};
use statistics::geometric_mean;
use table::{Table, digits, print, say};

const WHAT: &str = "plan_sweep [OPTION...]

Times training and backward by every strategy on 13 standard shapes, and marks the one that the plan takes by itself.
Cold by default; --cache warm for the other.

  a column for each strategy: median time on the device in us; [..] is the plan's choice, - is refused
  ratio: time of the choice by that of the best strategy
";

/// How far the choice may be from the best.
const NEAR: f64 = 1.10;

fn main() -> ExitCode {
    session::run(WHAT, measure)
}

/// A cell of the table.
struct Line {
    shape: String,
    ratio: f64,
    name: String,
    chosen: String,
    best: String,
}

fn measure(session: &Session<'_>) -> Result<(), Box<dyn Error>> {
    let names = Strategy::ALL.map(|strategy| strategy.to_string());
    let columns = [("shape", -15), ("dtype", -5), ("layout", -14), ("operation", -9), ("cache", -5)];
    let strategies = names.iter().map(|name| (name.as_str(), 11));
    let table = Table::begin(columns.into_iter().chain(strategies).chain([("ratio", 5)]));

    let (mut rows, mut lines, mut absent) = (Vec::new(), Vec::new(), Vec::new());
    let mut refused: Vec<(String, Vec<String>)> = Vec::new();
    let caches = session.caches(&[Cache::Cold]);
    let groups = session.groups();
    for (index, &group) in groups.iter().enumerate() {
        if session.options.late() {
            absent.push(format!("{group}: out of time"));
            continue;
        }
        say(&format!("[{index}/{}] {group}", groups.len()));
        let mut candidates = Vec::new();
        for (operation, layout, shape) in session.cells(group)? {
            // What waits for a reduction.
            if matches!(operation, Operation::Training | Operation::Backward) {
                let cell = format!("{group} {layout} {operation}");
                candidates.extend(forced(session, operation, layout, &shape, |strategy, why| {
                    let why = format!("{strategy}: {why}");
                    match refused.iter_mut().find(|(known, _)| *known == why) {
                        Some((_, cells)) => cells.push(cell.clone()),
                        None => refused.push((why, vec![cell.clone()])),
                    }
                })?);
            }
        }
        let measured = session.measure(group, &candidates, &caches);
        say("");
        match measured {
            Ok(measured) => {
                for &cache in &caches {
                    lines.extend(show(&table, session, group, cache, &measured)?);
                }
                rows.extend(measured);
                session.write(&rows)?;
            }
            Err(error) => absent.push(format!("{group}: {error}")),
        }
    }
    summary(&lines);
    for line in absent {
        print(&format!("not measured: {line}"));
    }
    for (why, cells) in refused {
        print(&format!("refused {why}\n  {}", cells.join("\n  ")));
    }
    Ok(())
}

/// The plans of all strategies that take a shape; the others are reported.
fn forced(
    session: &Session<'_>,
    operation: Operation,
    layout: Layout,
    shape: &Shape,
    mut refuse: impl FnMut(Strategy, String),
) -> Result<Vec<Candidate>, Box<dyn Error>> {
    let caps = session.gpu.context.caps();
    let Ok(choice) = layer::plan(operation, shape, caps) else { return Ok(Vec::new()) };
    let mut candidates = Vec::new();
    for strategy in Strategy::ALL {
        match plan_by(strategy, operation, shape, caps) {
            Ok(plan) => {
                let chosen = choice.strategy() == Some(strategy);
                candidates.push(Candidate { operation, layout, plan, chosen });
            }
            Err(error) => refuse(strategy, error.to_string()),
        }
    }
    if !candidates.iter().any(|candidate| candidate.chosen) {
        return Err(format!("{choice}: its strategy refuses the shape when it is forced").into());
    }
    Ok(candidates)
}

fn plan_by(
    strategy: Strategy,
    operation: Operation,
    shape: &Shape,
    caps: &Caps,
) -> Result<Plan, wgpu_batchnorm::Error> {
    match operation {
        Operation::Backward => Plan::backward_by(strategy, shape, &BackwardOptions::default(), caps),
        _ => Plan::training_by(strategy, shape, &TrainingOptions::default(), caps),
    }
}

/// Prints the cells of a group.
fn show(
    table: &Table,
    session: &Session<'_>,
    group: Group,
    cache: Cache,
    rows: &[Row],
) -> Result<Vec<Line>, Box<dyn Error>> {
    let mut lines = Vec::new();
    for (operation, layout, _) in session.cells(group)? {
        let of = |row: &&Row| {
            row.operation == operation.to_string()
                && row.layout == layout.to_string()
                && row.cache == cache.to_string()
        };
        let found: Vec<&Row> = rows.iter().filter(of).collect();
        let best = found.iter().min_by(|a, b| a.median_us.total_cmp(&b.median_us));
        let (Some(best), Some(chosen)) = (best, found.iter().find(|row| row.chosen == Some(true))) else {
            continue;
        };
        let ratio = chosen.median_us / best.median_us;
        let (dims, dtype) = (group.dims.to_string(), group.dtype.to_string());
        let mut cells =
            vec![dims.clone(), dtype.clone(), layout.to_string(), operation.to_string(), cache.to_string()];
        cells.extend(Strategy::ALL.iter().map(|strategy| {
            let name = strategy.to_string();
            match found.iter().find(|row| row.variant == name) {
                Some(row) if row.chosen == Some(true) => format!("[{}]", digits(row.median_us)),
                Some(row) => digits(row.median_us),
                None => "-".into(),
            }
        }));
        cells.push(format!("{ratio:.2}"));
        table.row(cells);
        lines.push(Line {
            name: format!("{dims} {dtype} {layout} {operation} {cache}"),
            shape: dims,
            ratio,
            chosen: chosen.variant.clone(),
            best: best.variant.clone(),
        });
    }
    Ok(lines)
}

/// How often the choice is near the best, by cell and by shape.
fn summary(lines: &[Line]) {
    if lines.is_empty() {
        return;
    }
    let mut shapes: Vec<&str> = lines.iter().map(|line| line.shape.as_str()).collect();
    shapes.dedup();
    let of = |shape: &str| -> Vec<f64> {
        lines.iter().filter(|line| line.shape == shape).map(|line| line.ratio).collect()
    };
    let mean = |shape: &&&str| geometric_mean(of(shape).into_iter()) <= NEAR;
    let every = |shape: &&&str| of(shape).into_iter().all(|ratio| ratio <= NEAR);
    let cells = lines.iter().filter(|line| line.ratio <= NEAR).count();
    print(&format!(
        "\nThe choice is within {:.0} % of the best in {cells} of {} cells; in the geometric mean over its cells for {} of {} shapes, in every cell for {}.",
        (NEAR - 1.0) * 100.0,
        lines.len(),
        shapes.iter().filter(mean).count(),
        shapes.len(),
        shapes.iter().filter(every).count(),
    ));
    for Line { name, ratio, chosen, best, .. } in lines.iter().filter(|line| line.ratio > NEAR) {
        print(&format!("  {name}: {chosen} takes {ratio:.2} of {best}"));
    }
}
