//! Section 4.2 of the paper: an Inception network with and without batch norm, at learning rates that only one of
//! them can bear.
//!
//! `cargo run --release -p wgpu-batchnorm-burn --example inception -- --help`

mod architecture;
mod block;
#[path = "../support/chart.rs"]
mod chart;
#[path = "../support/checkpoint.rs"]
mod checkpoint;
#[path = "../support/choice.rs"]
mod choice;
mod clutter;
#[path = "../support/data/mod.rs"]
mod data;
#[path = "../support/digits/mod.rs"]
mod digits;
mod feed;
#[path = "../support/gpu.rs"]
mod gpu;
#[path = "../support/interrupt.rs"]
mod interrupt;
#[path = "../support/linear.rs"]
mod linear;
mod network;
mod options;
#[path = "../support/progress.rs"]
mod progress;
#[path = "../support/random.rs"]
mod random;
mod recipe;
mod report;
mod response;
mod results;
mod run;
#[path = "../support/score.rs"]
mod score;
mod search;
mod unit;
mod variant;
#[path = "../support/weights.rs"]
mod weights;

use std::error::Error;
use std::io::{Write, stderr, stdout};
use std::process::ExitCode;
use std::time::Instant;

use architecture::Architecture;
use data::images::Dataset;
use gpu::Gpu;
use interrupt::Interrupt;
use options::{Command, Options};
use recipe::Recipe;
use results::Results;
use run::{Bench, Run, RunError};
use variant::Variant;

fn main() -> ExitCode {
    let options = match options::parse(std::env::args_os()) {
        Ok(Command::Run(options)) => options,
        Ok(Command::Help) => {
            let _ = writeln!(stdout(), "{}", options::help());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            let _ = writeln!(stderr(), "{error}\n\n{}", options::help());
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(stderr(), "{error}");
            let stopped = matches!(error.downcast_ref(), Some(RunError::Interrupted));
            if stopped { ExitCode::from(interrupt::EXIT_CODE) } else { ExitCode::FAILURE }
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let data = data(options)?;
    if options.hardness {
        let accuracy = 100.0 * linear::accuracy(&data, options.seed);
        writeln!(
            stdout(),
            "{}: a linear model is right about {accuracy:.1} % of the test images",
            data.name
        )?;
        return Ok(());
    }
    std::fs::create_dir_all(&options.out).map_err(|error| format!("{}: {error}", options.out.display()))?;
    let interrupt = Interrupt::install()?;
    let gpu = Gpu::new()?;
    let architecture = Architecture::new(options.width, options.depth);
    let bench = Bench {
        gpu: &gpu,
        data: &data,
        architecture: &architecture,
        batch: options.batch,
        steps: options.steps,
        every: (options.steps / LOOKS).max(1),
        out: &options.out,
        fresh: options.fresh,
        interrupt: &interrupt,
    };

    let mut text = Vec::new();
    let base = match options.rate {
        Some(rate) => {
            writeln!(text, "learning rate of Inception: {rate}, as given")?;
            rate
        }
        None => {
            let (rate, tried) = search::base_rate(&bench, options.seed)?;
            search::describe(rate, &tried, options.steps, &mut text)?;
            rate
        }
    };
    let results = train(&bench, options, base)?;

    writeln!(text, "{}", summary(options, &data, &gpu))?;
    writeln!(text, "\n{}\n{}", report::table(&results), report::notes(&results))?;
    stdout().write_all(&text)?;
    checkpoint::write_whole(&options.out.join("table.txt"), &[&text])?;
    report::figure(&options.out.join("accuracy.svg"), &results, options.steps)?;
    report::curves(&options.out.join("curves.csv"), &results, options.seed)?;
    writeln!(
        stderr(),
        "{:.0} s; table.txt, accuracy.svg, curves.csv in {}",
        start.elapsed().as_secs_f64(),
        options.out.display()
    )?;
    Ok(())
}

/// Looks at the test images in a whole run.
const LOOKS: usize = 40;

fn data(options: &Options) -> Result<Dataset, Box<dyn Error>> {
    let mut data = data::source::dataset(options.data.as_deref(), &clutter::CLUTTERED, 1)?;
    data.test = data.test.first(options.test);
    if let Some(count) = options.train {
        data.train = data.train.first(count);
        data.name += &format!(", the first {count} of them");
    }
    if data.train.len() < options.batch {
        return Err(
            format!("--batch: is {}, and there are {} images", options.batch, data.train.len()).into()
        );
    }
    Ok(data)
}

/// Seed by seed, so that an early end leaves whole seeds.
fn train(bench: &Bench<'_>, options: &Options, base: f64) -> Result<Vec<Results>, RunError> {
    let empty = |variant: Variant| Results { variant, rate: base * variant.rate(), curves: Vec::new() };
    let mut results: Vec<Results> = options.variants.iter().map(|&variant| empty(variant)).collect();
    for seed in options.seed..options.seed + options.seeds {
        for results in &mut results {
            let recipe = Recipe::new(results.variant, base, &options.undone);
            let name = format!("{} seed {seed}", results.variant.name());
            let run = Run { name, recipe: &recipe, seed, steps: options.steps };
            results.curves.push(bench.train(&run)?);
        }
    }
    Ok(results)
}

fn summary(options: &Options, data: &Dataset, gpu: &Gpu) -> String {
    let Options { steps, batch, width, depth, seed, seeds, undone, .. } = options;
    let last = seed + seeds - 1;
    let undone: Vec<&str> = undone.iter().map(|change| change.name()).collect();
    let undone = if undone.is_empty() { "none".into() } else { undone.join(", ") };
    format!(
        "data: {}, {} to test on\nnetwork: {width} of the paper's channels, {depth} of its 10 modules; {steps} steps of \
         {batch} images; seeds {seed} to {last}\nchanges turned back: {undone}\ndevice: {}",
        data.name,
        data.test.len(),
        gpu.name,
    )
}
