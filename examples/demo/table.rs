//! What the demo prints: one table, and a line of progress while it works.

use std::io::{IsTerminal, Write, stderr, stdout};

use crate::check::Verdict;
use crate::device::Timing;
use crate::layers::Layer;
use crate::operation::Operation;

/// Prints rows as they are known.
#[derive(Default)]
pub struct Table {
    rows: usize,
    outside: Vec<String>,
}

impl Table {
    pub fn head() -> Self {
        print(&format!(
            "{:<14} {:<14} {:<5} {:<9} {:<8} {:<12} {:>8} {:>8} {:<7} {:>8} {:>6} {:>6} {:>7}",
            "shape",
            "layout",
            "dtype",
            "operation",
            "plan",
            "worst result",
            "error",
            "bound",
            "verdict",
            "GPU ms",
            "GB/s",
            "x copy",
            "CPU/GPU"
        ));
        Self::default()
    }

    pub fn row(&mut self, layer: &Layer, operation: Operation, verdict: &Verdict, timing: &Timing) {
        let Timing { plan, seconds, copy, traffic } = *timing;
        let (shape, layout, dtype) = (layer.name(), layer.layout.name(), layer.shape.dtype().to_string());
        let comparison = &verdict.worst.comparison;
        let (rate, ratio) = (traffic as f64 / seconds * 1e-9, seconds / copy);
        let reference = verdict.reference / seconds;
        let ok = verdict.failed.is_empty();
        print(&format!(
            "{shape:<14} {layout:<14} {dtype:<5} {:<9} {plan:<8} {:<12} {:>8.1e} {:>8.1e} {:<7} {:>8.3} {:>6.*} {:>6.*} {:>7.*}",
            operation.name(),
            verdict.worst.quantity.name(),
            (comparison.actual - comparison.expected).abs(),
            verdict.worst.bound,
            if ok { "ok" } else { "ABOVE" },
            seconds * 1e3,
            digits(rate),
            rate,
            digits(ratio),
            ratio,
            digits(reference),
            reference,
        ));
        self.rows += 1;
        if !ok {
            let name = format!("{shape} {layout} {dtype} {}", operation.name());
            self.outside.push(format!("{name}: {} ({comparison})", verdict.failed.join(", ")));
        }
    }

    /// The last line; whether every row is within its bound.
    pub fn end(&self, seconds: f64) -> bool {
        let Self { rows, outside } = self;
        if outside.is_empty() {
            print(&format!("\n{rows} rows in {seconds:.1} s, every error within its bound"));
            return true;
        }
        print(&format!("\n{rows} rows in {seconds:.1} s, {} above their bounds:", outside.len()));
        for row in outside {
            print(&format!("  {row}"));
        }
        false
    }
}

/// The line on the terminal that says what is being done.
pub struct Progress {
    shown: bool,
}

impl Progress {
    /// Silent where nobody watches.
    pub fn new() -> Self {
        Self { shown: stderr().is_terminal() }
    }

    pub fn say(&self, text: &str) {
        if self.shown {
            let _ = write!(stderr(), "\r{text}\x1b[K").and_then(|()| stderr().flush());
        }
    }

    pub fn clear(&self) {
        self.say("");
    }
}

/// Decimals that leave about three digits to be seen.
fn digits(value: f64) -> usize {
    match value {
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    }
}

/// A line to stdout. A reader that has gone away, as in `| head`, is no reason to panic.
pub fn print(line: &str) {
    let _ = writeln!(stdout(), "{line}");
}
