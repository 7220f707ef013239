//! How far a run is: a bar on a terminal, a line now and then elsewhere. On stderr, so that stdout is the result.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Between two lines where nobody sees a bar.
const QUIET: Duration = Duration::from_secs(15);

/// Of one run.
#[derive(Debug)]
pub struct Progress {
    name: String,
    steps: usize,
    bar: Option<ProgressBar>,
    said: Instant,
    first: usize,
    start: Instant,
}

impl Progress {
    /// `first`: the step that a resumed run begins with.
    pub fn new(name: &str, first: usize, steps: usize) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(steps as u64).with_position(first as u64);
            let template = "{prefix:<26} {bar:30} {pos}/{len} {msg} ({eta} left)";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_prefix(name.to_owned());
            bar.reset_eta();
            bar
        });
        let now = Instant::now();
        Self { name: name.to_owned(), steps, bar, said: now, first, start: now }
    }

    pub fn at(&mut self, step: usize, state: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_position(step as u64);
                bar.set_message(state.to_owned());
            }
            None if self.said.elapsed() >= QUIET => {
                self.said = Instant::now();
                self.line(step, state);
            }
            None => {}
        }
    }

    /// The last word on this run stays to be read.
    pub fn end(&self, step: usize, state: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.line(step, state);
    }

    fn line(&self, step: usize, state: &str) {
        let Self { name, steps, .. } = self;
        let taken = step.saturating_sub(self.first).max(1);
        let each = self.start.elapsed().as_secs_f64() * 1e3 / taken as f64;
        let _ = writeln!(stderr(), "{name:<26} {step:>6}/{steps} {state} {each:.0} ms a step");
    }
}
