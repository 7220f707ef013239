//! Burn's own batch norm against wgpu-batchnorm: the same wgpu device, the same process, the same inputs, in turns.
//!
//! Both systems' results are held against the f64 reference before a cell is timed, and again after.

mod gpu;
mod launches;
mod measure;
mod options;
mod ours;
mod peer;
mod problem;
mod report;
mod system;

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use wgpu_batchnorm::Context;

use crate::gpu::Gpu;
use crate::measure::{Cache, measure};
use crate::options::Options;
use crate::ours::Ours;
use crate::peer::Peer;
use crate::problem::{Dimensions, Operation, Problem};
use crate::report::Cell;
use crate::system::System;

/// Bytes of x in all sets of a cold cell. With the outputs it is twice that: well above the caches of GPUs and CPUs.
const COLD_BYTES: u64 = 128 << 20;
/// Tensors so small that this many sets are less than that are no case for memory.
const MOST_SETS: usize = 256;

fn main() -> ExitCode {
    let options = match Options::parse() {
        Ok(options) if options.help => {
            println!("{}", options::HELP);
            return ExitCode::SUCCESS;
        }
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}\n--help says more");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let gpu = Gpu::new(options.backend, options.adapter.as_deref())?;
    println!("{}, {}, {}; Burn {}\n", gpu.info.name, gpu.backend(), gpu.driver(), burn_version());
    let context = Context::new(&gpu.device);
    let mut cells = Vec::new();
    for dimensions in &options.shapes {
        let problem = Problem::new(dimensions)?;
        let mut found = match dimensions.0.len() {
            2 => shape::<2>(&gpu, &context, &problem, options)?,
            3 => shape::<3>(&gpu, &context, &problem, options)?,
            4 => shape::<4>(&gpu, &context, &problem, options)?,
            _ => shape::<5>(&gpu, &context, &problem, options)?,
        };
        cells.append(&mut found);
    }
    println!("{}", report::markdown(&cells));
    if let Some(path) = &options.json {
        std::fs::write(path, report::json(&cells)?)?;
    }
    Ok(())
}

/// All cells of a shape of rank `D`.
fn shape<const D: usize>(
    gpu: &Gpu,
    context: &Context,
    problem: &Problem,
    options: &Options,
) -> Result<Vec<Cell>, Box<dyn Error>> {
    let sets_of = |cache| match cache {
        Cache::Warm => 1,
        Cache::Cold => COLD_BYTES.div_ceil(problem.shape.size_in_bytes()).clamp(2, MOST_SETS as u64) as usize,
    };
    let sets = options.caches.iter().map(|&cache| sets_of(cache)).max().unwrap_or(1);
    let mut ours = Ours::new(gpu, context, problem, sets)?;
    let mut peer = None;
    // The first forward pass is in there: where Burn tunes, it does so here.
    let launches = launches::count(|| {
        peer = Some(Peer::<D>::new(gpu, problem, sets)?);
        Ok(())
    })?;
    eprintln!("Burn prepared: {launches} launches");
    let mut peer = peer.ok_or("no peer")?;
    let mut cells = Vec::new();
    for &operation in &options.operations {
        let our_error = agree(problem, operation, &mut ours)?;
        let (start, mut peer_error) = (Instant::now(), 0.0);
        let launches = launches::count(|| {
            peer_error = agree(problem, operation, &mut peer)?;
            Ok(())
        })?;
        eprintln!("{}", ours.plan(operation));
        eprintln!(
            "  errors {our_error:.1e} and {peer_error:.1e}; Burn's first run: {launches} launches, {:.1} s",
            start.elapsed().as_secs_f64()
        );
        for &cache in &options.caches {
            let times = measure(gpu, &mut ours, &mut peer, operation, sets_of(cache), options.effort)?;
            let names = [Ours::NAME, peer.name()];
            let launches = ours.launches(operation);
            let cell = Cell::new(gpu, names, &problem.dimensions, operation, cache, launches, &times);
            let [ours_ms, peer_ms] = [&cell.ours, &cell.peer].map(|row| row.median_us / 1e3);
            eprintln!(
                "  {:<4} {ours_ms:9.3} ms and {peer_ms:9.3} ms: {:5.2} times faster; {} in a turn, {} : {} launches",
                cache.name(),
                cell.ratio(),
                cell.repeats,
                cell.ours.launches,
                cell.peer.launches
            );
            cells.push(cell);
        }
        // Still right, after all of it. Running statistics have moved on, far from one update.
        check_output(problem, operation, &mut ours)?;
        check_output(problem, operation, &mut peer)?;
        if options.kernels {
            kernels(gpu, &problem.dimensions, operation, &mut peer)?;
        }
    }
    Ok(cells)
}

/// Runs an operation for the first time, and holds all results against the reference.
fn agree(problem: &Problem, operation: Operation, system: &mut dyn System) -> Result<f64, Box<dyn Error>> {
    system.submit(operation, 0)?;
    let results = system.results(operation, 0)?;
    if results.len() != problem.results(operation) {
        return Err(format!("{} has other results than {}", system.name(), operation.name()).into());
    }
    problem.check(system.name(), operation, &results)
}

/// Holds the tensor that an operation gives against the reference once more.
fn check_output(
    problem: &Problem,
    operation: Operation,
    system: &mut dyn System,
) -> Result<(), Box<dyn Error>> {
    system.submit(operation, 0)?;
    let results = system.results(operation, 0)?;
    problem.check(system.name(), operation, &results[..1])?;
    Ok(())
}

/// What an operation of Burn consists of. Run one at a time, so that their sum is more than the operation takes.
fn kernels(
    gpu: &Gpu,
    dimensions: &Dimensions,
    operation: Operation,
    peer: &mut dyn System,
) -> Result<(), Box<dyn Error>> {
    let kernels = launches::observe(true, || {
        peer.submit(operation, 0)?;
        gpu.wait()
    })?;
    println!("{dimensions} {}, kernels of {}:\n", operation.name(), peer.name());
    let mut kernels: Vec<_> = kernels.into_iter().collect();
    kernels.sort_by_key(|(_, (_, duration))| std::cmp::Reverse(*duration));
    for (name, (count, duration)) in kernels {
        println!("    {:9.3} ms in {count:2} of {}", duration.as_secs_f64() * 1e3, without_paths(name));
    }
    println!();
    Ok(())
}

/// The name of a type without its modules, and without those of its parameters.
fn without_paths(name: &str) -> String {
    let parts = name.split_inclusive(['<', '>', ',', ' ', '(', ')']);
    parts.map(|part| part.rsplit("::").next().unwrap_or(part)).collect()
}

/// As locked.
fn burn_version() -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let found = lock.split_once("name = \"burn\"\nversion = \"").and_then(|(_, rest)| rest.split_once('"'));
    found.map_or("of unknown version", |(version, _)| version)
}
