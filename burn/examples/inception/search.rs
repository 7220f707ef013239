//! The learning rate of Inception. The paper's 0.0015 is for its network, its data and its days of training; here it
//! is found for the network without batch norm, and the others get the paper's multiples of it.

use std::io::Write;

use crate::recipe::Recipe;
use crate::run::{Bench, Run, RunError};
use crate::score::Score;
use crate::variant::Variant;

/// A factor of two apart: finer differences are less than those between seeds.
const CANDIDATES: [f64; 4] = [0.01, 0.02, 0.04, 0.08];

/// Part of a whole run that each candidate gets.
const PART: usize = 2;

/// Of the best candidate. A short run favours rates at the edge of what the network bears.
const MARGIN: f64 = 0.5;

/// A candidate and how far it came.
pub type Tried = (f64, Score);

/// Half the rate whose loss is least after a short run, and all that were tried.
pub fn base_rate(bench: &Bench<'_>, seed: u64) -> Result<(f64, Vec<Tried>), RunError> {
    let mut tried: Vec<Tried> = Vec::new();
    for rate in CANDIDATES {
        let recipe = Recipe::new(Variant::Inception, rate, &[]);
        let steps = (bench.steps / PART).max(1);
        let run = Run { name: format!("search {rate} seed {seed}"), recipe: &recipe, seed, steps };
        if let Some(score) = bench.train(&run)?.last() {
            tried.push((rate, *score));
        }
    }
    let loss = |score: &Score| score.loss.unwrap_or(f32::INFINITY);
    let best = tried.iter().min_by(|a, b| loss(&a.1).total_cmp(&loss(&b.1)));
    Ok((MARGIN * best.map_or(CANDIDATES[0], |best| best.0), tried))
}

/// What was tried, a line each.
pub fn describe(base: f64, tried: &[Tried], steps: usize, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(
        out,
        "learning rate of Inception: {base}, half of what has the least loss after {} steps",
        steps / PART
    )?;
    for (rate, score) in tried {
        writeln!(out, "  {rate:<6} {}", score.describe())?;
    }
    Ok(())
}
