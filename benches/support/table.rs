//! Markdown tables that a terminal shows as well, row by row as they are known.

use std::io::{IsTerminal, Write};

pub struct Table {
    /// Widths, and whether a column is aligned to the left.
    columns: Vec<(usize, bool)>,
}

impl Table {
    /// Prints the head: titles, and widths, negative for what is aligned to the left.
    pub fn begin(columns: impl IntoIterator<Item = (impl AsRef<str>, i32)>) -> Self {
        let (titles, columns): (Vec<String>, _) = columns
            .into_iter()
            .map(|(title, width)| {
                let title = title.as_ref();
                (title.to_owned(), (title.len().max(width.unsigned_abs() as usize), width < 0))
            })
            .unzip();
        let table = Self { columns };
        table.row(titles);
        let rule = table.columns.iter().map(|&(width, left)| {
            let dashes = "-".repeat(width + 1);
            if left { format!("-{dashes}") } else { format!("{dashes}:") }
        });
        print(&format!("|{}|", rule.collect::<Vec<_>>().join("|")));
        table
    }

    /// Prints a row.
    pub fn row(&self, cells: Vec<String>) {
        let padded = cells.into_iter().zip(&self.columns).map(|(cell, &(width, left))| {
            if left { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        print(&format!("| {} |", padded.collect::<Vec<_>>().join(" | ")));
    }
}

/// A line to stdout. A reader that has gone away, as in `| head`, is no reason to panic.
pub fn print(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// What is being done, where somebody watches.
pub fn say(text: &str) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r{text}\x1b[K").and_then(|()| stderr.flush());
    }
}

/// About three digits of a number.
pub fn digits(value: f64) -> String {
    match value.abs() {
        v if v < 0.0995 => format!("{value:.4}"),
        v if v < 9.995 => format!("{value:.2}"),
        v if v < 99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
