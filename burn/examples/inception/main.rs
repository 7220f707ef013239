//! Section 4.2 of the paper: an Inception network with and without batch norm, at learning rates that only one of
//! them can bear.
//!
//! `cargo run --release -p wgpu-batchnorm-burn --example inception -- --help`

#[path = "../support/accuracy.rs"]
mod accuracy;
mod architecture;
mod block;
#[path = "../support/chart.rs"]
mod chart;
#[path = "../support/checkpoint.rs"]
mod checkpoint;
#[path = "../support/choice.rs"]
mod choice;
mod clutter;
#[path = "../support/columns.rs"]
mod columns;
#[path = "../support/curve.rs"]
mod curve;
#[path = "../support/data/mod.rs"]
mod data;
#[path = "../support/digits/mod.rs"]
mod digits;
mod distortion;
mod feed;
#[path = "../support/gpu.rs"]
mod gpu;
#[path = "../support/interrupt.rs"]
mod interrupt;
#[path = "../support/linear.rs"]
mod linear;
#[path = "../support/median.rs"]
mod median;
mod network;
mod notes;
mod numbers;
mod options;
#[path = "../support/order.rs"]
mod order;
#[path = "../support/positive.rs"]
mod positive;
#[path = "../support/program.rs"]
mod program;
#[path = "../support/progress.rs"]
mod progress;
#[path = "../support/random.rs"]
mod random;
#[path = "../support/reached.rs"]
mod reached;
mod recipe;
mod response;
mod results;
mod run;
#[path = "../support/run_error.rs"]
mod run_error;
#[path = "../support/score.rs"]
mod score;
mod search;
#[path = "../support/seeds.rs"]
mod seeds;
#[path = "../support/spread.rs"]
mod spread;
mod table;
mod unit;
mod variant;
#[path = "../support/weights.rs"]
mod weights;
#[path = "../support/whole.rs"]
mod whole;

use std::error::Error;
use std::io::{Write, stderr, stdout};
use std::process::ExitCode;
use std::time::Instant;

use accuracy::Network;
use architecture::Architecture;
use data::images::Dataset;
use gpu::Gpu;
use interrupt::Interrupt;
use options::{Options, Rate};
use recipe::Recipe;
use results::Results;
use run::{Bench, Run};
use variant::Variant;

fn main() -> ExitCode {
    program::run(options::parse, options::help, |options| interrupt::exit_code(run(options)))
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let data = data(options)?;
    if options.hardness {
        writeln!(stdout(), "{}", linear::describe(&data, options.seeds.first))?;
        return Ok(());
    }
    std::fs::create_dir_all(&options.out).map_err(|error| format!("{}: {error}", options.out.display()))?;
    if options.fresh {
        forget(options)?;
    }
    let interrupt = Interrupt::install()?;
    let gpu = Gpu::new()?;
    let architecture = Architecture::new(options.width, options.depth);
    let bench = Bench {
        gpu: &gpu,
        data: &data,
        architecture: &architecture,
        batch: options.batch,
        steps: options.steps,
        every: options.steps.div_ceil(options.looks),
        out: &options.out,
        interrupt: &interrupt,
    };
    let (base, origin) = base(&bench, options)?;
    let results = train(&bench, options, base)?;

    let text = format!(
        "{origin}{}\n\n{}\n{}\n",
        summary(options, &data, &gpu)?,
        table::table(&results),
        notes::notes(&results, options)
    );
    stdout().write_all(text.as_bytes())?;
    checkpoint::write_whole(&options.out.join("table.txt"), &[text.as_bytes()])?;
    accuracy::draw(&options.out.join("accuracy.svg"), &networks(&results), options.steps)?;
    numbers::write(&options.out.join("curves.csv"), &results)?;
    writeln!(
        stderr(),
        "{:.0} s; table.txt, accuracy.svg, curves.csv in {}",
        start.elapsed().as_secs_f64(),
        options.out.display()
    )?;
    Ok(())
}

fn data(options: &Options) -> Result<Dataset, Box<dyn Error>> {
    let mut data = data::source::dataset(options.data.as_deref(), &clutter::CLUTTERED, 1)?;
    data.test = data.test.first(options.test);
    if let Some(count) = options.train {
        data.train = data.train.first(count);
    }
    let count = data.train.len();
    if count < options.batch {
        return Err(
            format!("--batch: is {}, and there are {count} images to learn from", options.batch).into()
        );
    }
    Ok(data)
}

/// Removes what earlier calls of the same command left.
fn forget(options: &Options) -> Result<(), Box<dyn Error>> {
    if options.rate == Rate::Searched {
        checkpoint::forget(&options.out, search::names(options.seeds.first))?;
    }
    for seed in options.seeds.range()? {
        checkpoint::forget(&options.out, options.variants.iter().map(|&variant| name(variant, seed)))?;
    }
    Ok(())
}

/// The learning rate of Inception, and where it comes from.
fn base(bench: &Bench<'_>, options: &Options) -> Result<(f64, String), Box<dyn Error>> {
    let known = |rate, origin| Ok((rate, format!("learning rate of Inception: {rate}, {origin}\n")));
    match options.rate {
        Rate::Given(rate) => known(rate, "as given"),
        Rate::Preset(rate) => known(rate, "preset of --quick"),
        Rate::Searched => {
            let data = search::held_out(bench.data);
            if data.test.len() == 0 || data.train.len() < options.batch {
                let (train, held) = (data.train.len(), data.test.len());
                return Err(format!(
                    "--rate: is not given, and a search needs {} images to learn from and others that are held out; \
                     there are {train} and {held}",
                    options.batch
                )
                .into());
            }
            let tried = search::search(&Bench { data: &data, ..*bench }, options.seeds.first)?;
            let rate = search::base_rate(&tried)?;
            Ok((rate, search::describe(rate, &tried, data.test.len(), options.steps)))
        }
    }
}

/// Of the file of a run, and of its bar.
fn name(variant: Variant, seed: u64) -> String {
    format!("{} seed {seed}", variant.name())
}

/// Seed by seed, so that an early end leaves whole seeds.
fn train(bench: &Bench<'_>, options: &Options, base: f64) -> Result<Vec<Results>, Box<dyn Error>> {
    let recipe = |variant| Recipe::new(variant, base, &options.undone);
    let empty = |&variant: &Variant| {
        let rates = recipe(variant).rates();
        Results { variant, rates, first_seed: options.seeds.first, curves: Vec::new() }
    };
    let mut results: Vec<Results> = options.variants.iter().map(empty).collect();
    for seed in options.seeds.range()? {
        for results in &mut results {
            let Results { variant, curves, .. } = results;
            let run =
                Run { name: name(*variant, seed), recipe: &recipe(*variant), seed, steps: options.steps };
            curves.push(bench.train(&run)?);
        }
    }
    Ok(results)
}

fn networks(results: &[Results]) -> Vec<Network<'_>> {
    let name = |results: &Results| {
        format!("{} (rate {})", results.variant.name(), results::significant(results.rates[0]))
    };
    let all = results.iter().map(|results| Network {
        name: name(results),
        colour: results.variant.colour(),
        curves: &results.curves,
    });
    all.collect()
}

fn summary(options: &Options, data: &Dataset, gpu: &Gpu) -> Result<String, String> {
    let Options { steps, batch, width, depth, undone, .. } = options;
    let seeds = options.seeds.range()?;
    let undone: Vec<&str> = undone.iter().map(|change| change.name()).collect();
    let undone = if undone.is_empty() { "none".into() } else { undone.join(", ") };
    Ok(format!(
        "data: {}\nnetwork: {width} of the paper's channels, {depth} of its 10 modules; {steps} steps of {batch} \
         images; seeds {} to {}\nchanges turned back: {undone}\ndevice: {}",
        data.describe(),
        seeds.start(),
        seeds.end(),
        gpu.name,
    ))
}
