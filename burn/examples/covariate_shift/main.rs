//! Section 4.1 of the paper: what batch norm does to a network of sigmoids on digits.
//!
//! `cargo run --release -p wgpu-batchnorm-burn --example covariate_shift -- --help`

#[path = "../support/chart.rs"]
mod chart;
#[path = "../support/checkpoint.rs"]
mod checkpoint;
#[path = "../support/choice.rs"]
mod choice;
#[path = "../support/data/mod.rs"]
mod data;
#[path = "../support/digits/mod.rs"]
mod digits;
#[path = "../support/gpu.rs"]
mod gpu;
#[path = "../support/interrupt.rs"]
mod interrupt;
#[path = "../support/linear.rs"]
mod linear;
mod network;
mod options;
mod percentiles;
mod plain;
#[path = "../support/progress.rs"]
mod progress;
#[path = "../support/random.rs"]
mod random;
mod report;
mod run;
#[path = "../support/score.rs"]
mod score;
#[path = "../support/weights.rs"]
mod weights;

use std::error::Error;
use std::io::{Write, stderr, stdout};
use std::process::ExitCode;
use std::time::Instant;

use gpu::Gpu;
use interrupt::Interrupt;
use options::{Command, Options};
use report::Results;
use run::{BATCH, Bench, RunError};

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
    let bench = Bench {
        gpu: &gpu,
        data: &data,
        seed: options.seed,
        steps: options.steps,
        every: (options.steps / LOOKS).max(1),
        rate: options.rate,
        out: &options.out,
        fresh: options.fresh,
        interrupt: &interrupt,
    };
    let results = |name, colour, normalize| -> Result<Results, RunError> {
        Ok(Results { name, colour, looks: bench.train(name, normalize)? })
    };
    let results = [
        results("without batch norm", (20, 20, 20), false)?,
        results("with batch norm", (214, 39, 40), true)?,
    ];

    let text = format!(
        "data: {}, {} to test on\n{} steps of {BATCH} images, learning rate {}, seed {}\ndevice: {}\n\n{}\n",
        data.name,
        data.test.len(),
        options.steps,
        options.rate,
        options.seed,
        gpu.name,
        report::table(&results),
    );
    stdout().write_all(text.as_bytes())?;
    checkpoint::write_whole(&options.out.join("table.txt"), &[text.as_bytes()])?;
    report::accuracy(&options.out.join("accuracy.svg"), &results)?;
    report::inputs(&options.out.join("inputs.svg"), &results)?;
    report::curves(&options.out.join("curves.csv"), &results)?;
    writeln!(
        stderr(),
        "{:.0} s; table.txt, accuracy.svg, inputs.svg, curves.csv in {}",
        start.elapsed().as_secs_f64(),
        options.out.display()
    )?;
    Ok(())
}
