//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::{Long, Short, ValueExt};

/// What the user asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub seed: u64,
    pub steps: usize,
    pub rate: f64,
    pub test: usize,
    pub data: Option<PathBuf>,
    pub out: PathBuf,
    pub fresh: bool,
    pub hardness: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            steps: 3000,
            rate: 0.3,
            test: 1000,
            data: None,
            out: PathBuf::from("target/covariate_shift"),
            fresh: false,
            hardness: false,
        }
    }
}

/// The command line, or the wish to know it.
#[derive(Debug, PartialEq)]
pub enum Command {
    Help,
    Run(Options),
}

pub fn help() -> String {
    let Options { seed, steps, rate, test, out, .. } = Options::default();
    format!(
        "covariate_shift [OPTION...]

Section 4.1 of the paper: three hidden layers of 100 sigmoid units learn digits, with and without batch norm, 60
images a step. Prints a table, and draws figure 1: accuracy over steps, and percentiles of what enters a sigmoid of
the last hidden layer.

  --data DIR   MNIST or Fashion-MNIST (IDX, also .gz) or CIFAR-10 (binary version); drawn digits without it
  --test N     images to measure on: {test} by default
  --hardness   print what a linear model reaches on the data, and end
  --out DIR    for checkpoints, table and plots: {out} by default; the same command goes on from there
  --fresh      begin anew, whatever is there
  --seed N     {seed} by default
  --steps N    {steps} by default
  --rate F     learning rate of both networks: {rate} by default

Exit code: 0 when all is done, 1 when something failed, 2 for wrong arguments, 130 when stopped by Ctrl-C.",
        out = out.display(),
    )
}

/// The first argument is the program's name.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_iter(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("fresh") => options.fresh = true,
            Long("hardness") => options.hardness = true,
            Long("data") => options.data = Some(parser.value()?.into()),
            Long("out") => options.out = parser.value()?.into(),
            Long("seed") => options.seed = parser.value()?.parse()?,
            Long("steps") => options.steps = number(&mut parser, "--steps", 10)?,
            Long("test") => options.test = number(&mut parser, "--test", 1)?,
            Long("rate") => {
                options.rate = parser.value()?.parse()?;
                if !(options.rate > 0.0 && options.rate.is_finite()) {
                    return Err(format!("--rate: is {}, needs to be above 0", options.rate).into());
                }
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Run(options))
}

fn number(parser: &mut lexopt::Parser, option: &str, least: usize) -> Result<usize, lexopt::Error> {
    let text = parser.value()?.string()?;
    match text.parse() {
        Ok(number) if number >= least => Ok(number),
        _ => Err(format!("{option}: is {text:?}, needs to be a whole number of at least {least}").into()),
    }
}
