//! Section 4.1 of the paper: what batch norm does to a network of sigmoids on digits.
//!
//! `cargo run --release -p wgpu-batchnorm-burn --example covariate_shift -- --help`

#[path = "../support/accuracy.rs"]
mod accuracy;
#[path = "../support/chart.rs"]
mod chart;
#[path = "../support/checkpoint.rs"]
mod checkpoint;
#[path = "../support/choice.rs"]
mod choice;
#[path = "../support/columns.rs"]
mod columns;
#[path = "../support/curve.rs"]
mod curve;
#[path = "../support/data/mod.rs"]
mod data;
#[path = "../support/digits/mod.rs"]
mod digits;
mod drift;
#[path = "../support/gpu.rs"]
mod gpu;
mod inputs;
#[path = "../support/interrupt.rs"]
mod interrupt;
#[path = "../support/linear.rs"]
mod linear;
#[path = "../support/median.rs"]
mod median;
mod network;
mod numbers;
mod options;
#[path = "../support/order.rs"]
mod order;
mod percentiles;
mod plain;
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
mod results;
mod run;
#[path = "../support/run_error.rs"]
mod run_error;
#[path = "../support/score.rs"]
mod score;
#[path = "../support/seeds.rs"]
mod seeds;
#[path = "../support/spread.rs"]
mod spread;
mod table;
#[path = "../support/weights.rs"]
mod weights;
#[path = "../support/whole.rs"]
mod whole;

use std::error::Error;
use std::io::{Write, stderr, stdout};
use std::process::ExitCode;
use std::time::Instant;

use accuracy::Network;
use data::images::Dataset;
use gpu::Gpu;
use interrupt::Interrupt;
use options::Options;
use results::Results;
use run::{BATCH, Bench, Run};

fn main() -> ExitCode {
    program::run(options::parse, options::help, |options| interrupt::exit_code(run(options)))
}

/// Looks at the test images in a run.
const LOOKS: usize = 60;

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let mut data = data::source::dataset(options.data.as_deref(), &plain::PLAIN, 1)?;
    data.test = data.test.first(options.test);
    if data.train.len() < BATCH {
        return Err(format!("{}: has {} images, needs to have {BATCH}", data.name, data.train.len()).into());
    }
    if options.hardness {
        writeln!(stdout(), "{}", linear::describe(&data, options.seeds.first))?;
        return Ok(());
    }
    std::fs::create_dir_all(&options.out).map_err(|error| format!("{}: {error}", options.out.display()))?;
    let runs = runs(options)?;
    if options.fresh {
        checkpoint::forget(&options.out, runs.iter().flatten().map(Run::name))?;
    }
    let interrupt = Interrupt::install()?;
    let gpu = Gpu::new()?;
    let bench = Bench {
        gpu: &gpu,
        data: &data,
        steps: options.steps,
        every: options.steps.div_ceil(LOOKS),
        rate: options.rate,
        out: &options.out,
        interrupt: &interrupt,
    };
    let mut results = NETWORKS.map(|(name, colour, _)| Results { name, colour, runs: Vec::new() });
    for run in runs.into_iter().flatten() {
        let looks = bench.train(run)?;
        if let Some(results) = results.iter_mut().find(|results| results.name == run.network) {
            results.runs.push((run.seed, looks));
        }
    }
    report(options, &data, &gpu, &results)?;
    writeln!(
        stderr(),
        "{:.0} s; table.txt, accuracy.svg, inputs.svg, curves.csv in {}",
        start.elapsed().as_secs_f64(),
        options.out.display()
    )?;
    Ok(())
}

/// Name, colour, and whether there is batch norm. The first sets the goal.
const NETWORKS: [(&str, (u8, u8, u8), bool); 2] =
    [("without batch norm", (20, 20, 20), false), ("with batch norm", (214, 39, 40), true)];

/// Seed by seed, so that an early end leaves whole seeds.
fn runs(options: &Options) -> Result<Vec<[Run; 2]>, String> {
    let pair = |seed| NETWORKS.map(|(network, _, normalize)| Run { network, normalize, seed });
    Ok(options.seeds.range()?.map(pair).collect())
}

fn report(options: &Options, data: &Dataset, gpu: &Gpu, results: &[Results]) -> Result<(), Box<dyn Error>> {
    let Options { steps, rate, out, .. } = options;
    let seeds = options.seeds.range()?;
    let text = format!(
        "data: {}\n{steps} steps of {BATCH} images, learning rate {rate}, seeds {} to {}\ndevice: {}\n\n{}",
        data.describe(),
        seeds.start(),
        seeds.end(),
        gpu.name,
        table::table(results, *steps),
    );
    stdout().write_all(text.as_bytes())?;
    checkpoint::write_whole(&out.join("table.txt"), &[text.as_bytes()])?;
    let curves: Vec<_> = results.iter().map(Results::curves).collect();
    let networks: Vec<_> = (results.iter().zip(&curves))
        .map(|(results, curves)| Network { name: results.name.to_owned(), colour: results.colour, curves })
        .collect();
    accuracy::draw(&out.join("accuracy.svg"), &networks, *steps)?;
    inputs::draw(&out.join("inputs.svg"), results, *steps)?;
    numbers::write(&out.join("curves.csv"), results, *steps)?;
    Ok(())
}
