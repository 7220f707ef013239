//! The command line.

use std::ffi::OsString;

use lexopt::prelude::{Long, Short, ValueExt};

/// What the user asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub batch: usize,
    pub inputs: usize,
    pub outputs: usize,
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { batch: 64, inputs: 100, outputs: 100, seed: 1 }
    }
}

/// The command line, or the wish to know it.
#[derive(Debug, PartialEq)]
pub enum Command {
    Help,
    Run(Options),
}

pub fn help() -> String {
    let Options { batch, inputs, outputs, seed } = Options::default();
    format!(
        "scale_invariance [OPTION...]

Section 3.3 of the paper as numbers from the device: what weights of another scale change about the output of a layer
with batch norm, and about its gradients.

  --batch N    rows: {batch} by default
  --inputs N   {inputs} by default
  --outputs N  {outputs} by default
  --seed N     {seed} by default

Exit code: 0 if every difference is within its bound, 1 if not, 2 for wrong arguments."
    )
}

/// The first argument is the program's name.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_iter(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("seed") => options.seed = parser.value()?.parse()?,
            Long("batch") => options.batch = number(&mut parser, "--batch", 3)?,
            Long("inputs") => options.inputs = number(&mut parser, "--inputs", 1)?,
            Long("outputs") => options.outputs = number(&mut parser, "--outputs", 1)?,
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Run(options))
}

fn number(parser: &mut lexopt::Parser, option: &str, least: usize) -> Result<usize, lexopt::Error> {
    let text = parser.value()?.string()?;
    match text.parse() {
        Ok(number) if (least..=1 << 16).contains(&number) => Ok(number),
        _ => Err(format!("{option}: is {text:?}, needs to be a whole number from {least} to 65536").into()),
    }
}
