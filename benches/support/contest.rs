//! Measures several things in turns, so that what slows the machine down slows all of them.

use std::error::Error;
use std::time::{Duration, Instant};

use crate::cell::Cache;
use crate::gpu::Gpu;
use crate::options::{Options, Timer};
use crate::stopwatch::{MOST, Stopwatch, Timed};

/// Rounds that are measured however long they take.
const FEWEST_ROUNDS: u32 = 3;

/// What a turn by the wall clock takes at least, in microseconds, so that the submit weighs little.
const WALL_TURN: f64 = 5_000.0;

/// For how long is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    rounds: u32,
    limit: Duration,
    /// Operations in a turn where each is timed on its own.
    repeats: usize,
    /// Whether a turn begins with an operation that does not count, so that a GPU has left its idle clock.
    lead: bool,
}

impl Effort {
    pub fn new(gpu: &Gpu, options: &Options) -> Self {
        let (rounds, seconds, repeats) = if gpu.software { (7, 4, 1) } else { (30, 1, 3) };
        Self {
            rounds: options.rounds.unwrap_or(rounds),
            limit: Duration::from_secs(options.seconds.unwrap_or(seconds).into()),
            repeats,
            lead: !gpu.software,
        }
    }
}

/// The samples of each, in microseconds.
///
/// Cold, each operation takes the set of tensors that was used longest ago, whoever used it. Warm, all take the first
/// set, and each turn begins with an operation that does not count.
pub fn contest(
    gpu: &Gpu,
    stopwatch: &Stopwatch<'_>,
    all: &[&dyn Timed],
    cache: Cache,
    sets: usize,
    effort: Effort,
) -> Result<Vec<Vec<f64>>, Box<dyn Error>> {
    let mut next = 0;
    let mut take = |count: usize| -> Vec<usize> {
        let taken = (0..count).map(|i| if cache == Cache::Cold { (next + i) % sets } else { 0 }).collect();
        next = (next + count) % sets;
        taken
    };
    let lead = effort.lead || cache == Cache::Warm;
    let mut repeats = Vec::new();
    for timed in all {
        // Compiles, maps memory, and by the wall clock says how many operations make a turn.
        stopwatch.turn(*timed, None, &take(1))?;
        repeats.push(match gpu.timer {
            Timer::Timestamps => effort.repeats,
            Timer::Wall => {
                let one = stopwatch.turn(*timed, None, &take(1))?[0].max(1.0);
                (WALL_TURN / one).ceil().clamp(1.0, f64::from(MOST)) as usize
            }
        });
    }
    let mut samples = vec![Vec::new(); all.len()];
    let start = Instant::now();
    for round in 0..effort.rounds {
        if round >= FEWEST_ROUNDS && start.elapsed() > effort.limit {
            break;
        }
        for place in 0..all.len() {
            let index = (place + round as usize) % all.len();
            let lead = lead.then(|| take(1)[0]);
            samples[index].extend(stopwatch.turn(all[index], lead, &take(repeats[index]))?);
        }
    }
    Ok(samples)
}
