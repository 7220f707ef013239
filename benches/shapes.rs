//! Training, inference and backward on the standard shapes, as users get them: how near to a copy, how near to the
//! fewest passes over memory.
//!
//! `cargo bench --bench shapes -- --help`

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

use cell::{Cache, Operation};
use row::Row;
use session::{Candidate, Session};
use statistics::geometric_mean;
use table::{Table, digits, print, say};

const WHAT: &str = "shapes [OPTION...]

Times training, inference, backward, and backward of inference (frozen) on 13 standard shapes, in both storage types and both layouts, beside copies of
the same tensor in the same run.

  us         median time on the device; spread: distance of its quartiles, in percent of it
  passes     how often the plan reads or writes memory of the size of the tensor
  GB/s       bytes of these passes by the time
  of copy    that rate by the rate of the best copy
  roofline   time of the fewest passes (2, of the backward passes 3) at the rate of the copy, by the time
";

const COLUMNS: [(&str, i32); 12] = [
    ("shape", -15),
    ("dtype", -5),
    ("layout", -14),
    ("operation", -9),
    ("cache", -5),
    ("variant", -13),
    ("passes", 6),
    ("us", 9),
    ("spread", 6),
    ("GB/s", 6),
    ("of copy", 7),
    ("roofline", 8),
];

fn main() -> ExitCode {
    session::run(WHAT, measure)
}

fn measure(session: &Session<'_>) -> Result<(), Box<dyn Error>> {
    let table = Table::begin(COLUMNS);
    let mut rows: Vec<Row> = Vec::new();
    let mut absent = Vec::new();
    let groups = session.groups();
    let caches = session.caches(&Cache::ALL);
    for (index, &group) in groups.iter().enumerate() {
        if session.options.late() {
            absent.push(format!("{group}: out of time"));
            continue;
        }
        say(&format!("[{index}/{}] {group}", groups.len()));
        let mut candidates = Vec::new();
        for (operation, layout, shape) in session.cells(group)? {
            match layer::plan(operation, &shape, session.gpu.context.caps()) {
                Ok(plan) => candidates.push(Candidate { operation, layout, plan, chosen: true }),
                Err(error) => absent.push(format!("{group} {layout} {operation}: refused: {error}")),
            }
        }
        let measured = session.measure(group, &candidates, &caches);
        say("");
        match measured {
            Ok(measured) => {
                for row in show(&measured) {
                    table.row(row);
                }
                rows.extend(measured);
                session.write(&rows)?;
            }
            Err(error) => absent.push(format!("{group}: {error}")),
        }
    }
    summary(&rows, &caches);
    for line in absent {
        print(&format!("not measured: {line}"));
    }
    Ok(())
}

/// The rows to be seen: of the copies, the best of each state of the cache.
fn show(rows: &[Row]) -> Vec<Vec<String>> {
    let is_best = |row: &Row| {
        let rivals = rows.iter().filter(|rival| rival.operation == "copy" && rival.cache == row.cache);
        rivals.map(|rival| rival.median_us).fold(f64::INFINITY, f64::min) >= row.median_us
    };
    let shown = rows.iter().filter(|row| row.operation != "copy" || is_best(row));
    let line = |row: &Row| {
        let of = |part: Option<f64>| part.map_or_else(String::new, digits);
        vec![
            row.shape.clone(),
            row.dtype.clone(),
            if row.operation == "copy" { String::new() } else { row.layout.clone() },
            row.operation.clone(),
            row.cache.clone(),
            row.variant.clone(),
            row.passes.map_or_else(String::new, |passes| passes.to_string()),
            digits(row.median_us),
            format!("{:.0} %", (row.q3_us - row.q1_us) / row.median_us * 100.0),
            digits(row.gb_per_s),
            of(row.of_copy),
            of(row.of_roofline),
        ]
    };
    shown.map(line).collect()
}

/// Fractions of the roofline, by operation.
fn summary(rows: &[Row], caches: &[Cache]) {
    print("");
    let table = Table::begin([
        ("operation", -9),
        ("cache", -5),
        ("cells", 5),
        ("roofline, geometric mean", 24),
        ("worst", 5),
        ("worst cell", -40),
    ]);
    for operation in Operation::ALL {
        for cache in caches {
            let of = |row: &&Row| row.operation == operation.to_string() && row.cache == cache.to_string();
            let found: Vec<(f64, &Row)> =
                rows.iter().filter(of).filter_map(|row| Some((row.of_roofline?, row))).collect();
            let Some((least, worst)) = found.iter().min_by(|a, b| a.0.total_cmp(&b.0)) else { continue };
            table.row(vec![
                operation.to_string(),
                cache.to_string(),
                found.len().to_string(),
                digits(geometric_mean(found.iter().map(|(part, _)| *part))),
                digits(*least),
                format!("{} {} {}", worst.shape, worst.dtype, worst.layout),
            ]);
        }
    }
}
