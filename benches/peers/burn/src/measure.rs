//! The stopwatch: both systems take turns, each for as many operations, from the first submit to the last result.

use std::error::Error;
use std::time::Instant;

use serde::Serialize;

use crate::gpu::Gpu;
use crate::launches;
use crate::problem::Operation;
use crate::system::System;

/// Burn tunes at its first launches; it has settled when this many operations in a row launch the same.
const ALIKE: usize = 5;
/// Operations after which it has to have settled, beyond one for each set of tensors.
const PATIENCE: usize = 300;

/// Whether an operation finds its tensors where the last one left them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cache {
    /// The same tensors each time.
    Warm,
    /// Other tensors each time, over more memory than a cache holds.
    Cold,
}

impl Cache {
    pub fn name(self) -> &'static str {
        match self {
            Self::Warm => "warm",
            Self::Cold => "cold",
        }
    }
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Turns of each system.
    pub rounds: usize,
    /// What one turn of ours takes, roughly; Burn's has as many operations.
    pub turn_ms: f64,
}

/// Both systems in one cell, in microseconds per operation, by turn.
#[derive(Clone, Debug, Default)]
pub struct Times {
    pub ours: Vec<f64>,
    pub peer: Vec<f64>,
    /// Operations in a turn.
    pub repeats: usize,
    /// What Burn launches for an operation.
    pub peer_launches: usize,
}

/// A system, and the set of tensors whose turn it is.
struct Runner<'a> {
    system: &'a mut dyn System,
    operation: Operation,
    sets: usize,
    next: usize,
}

impl Runner<'_> {
    fn submit(&mut self) -> Result<(), Box<dyn Error>> {
        self.system.submit(self.operation, self.next)?;
        self.next = (self.next + 1) % self.sets;
        Ok(())
    }

    /// Microseconds per operation.
    fn turn(&mut self, gpu: &Gpu, repeats: usize) -> Result<f64, Box<dyn Error>> {
        let start = Instant::now();
        for _ in 0..repeats {
            self.submit()?;
        }
        gpu.wait()?;
        Ok(start.elapsed().as_secs_f64() * 1e6 / repeats as f64)
    }

    /// Until Burn has compiled and tuned; gives its launches per operation.
    fn settle(&mut self, gpu: &Gpu) -> Result<usize, Box<dyn Error>> {
        let (mut launches, mut alike) = (usize::MAX, 0);
        for operations in 1..=self.sets + PATIENCE {
            let found = launches::count(|| {
                self.submit()?;
                gpu.wait()
            })?;
            alike = if found == launches { alike + 1 } else { 1 };
            launches = found;
            if alike >= ALIKE && operations >= self.sets {
                return Ok(launches);
            }
        }
        Err(format!("{} still tunes after {} operations", self.system.name(), self.sets + PATIENCE).into())
    }
}

/// Measures one operation on `sets` sets of tensors. Both have computed it before, and rightly.
pub fn measure(
    gpu: &Gpu,
    ours: &mut dyn System,
    peer: &mut dyn System,
    operation: Operation,
    sets: usize,
    effort: Effort,
) -> Result<Times, Box<dyn Error>> {
    let mut ours = Runner { system: ours, operation, sets, next: 0 };
    let mut peer = Runner { system: peer, operation, sets, next: 0 };
    let peer_launches = peer.settle(gpu)?;
    ours.turn(gpu, sets)?;
    let one = (0..3)
        .map(|_| ours.turn(gpu, 1))
        .try_fold(f64::INFINITY, |least, time| time.map(|t| least.min(t)))?;
    let repeats = (effort.turn_ms * 1e3 / one).ceil().clamp(1.0, 1000.0) as usize;

    let mut times = Times { repeats, peer_launches, ..Times::default() };
    for round in 0..effort.rounds {
        // Who comes first alternates.
        if round % 2 == 0 {
            times.ours.push(ours.turn(gpu, repeats)?);
            times.peer.push(peer.turn(gpu, repeats)?);
        } else {
            times.peer.push(peer.turn(gpu, repeats)?);
            times.ours.push(ours.turn(gpu, repeats)?);
        }
    }
    // It launched that, and tuned no further, to the end.
    let launches = launches::count(|| peer.turn(gpu, repeats).map(drop))?;
    if launches != peer_launches * repeats {
        let name = peer.system.name();
        return Err(format!("{name} made {launches} launches for {repeats} times {peer_launches}").into());
    }
    Ok(times)
}
