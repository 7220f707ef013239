//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::{Long, Short, ValueExt};

use crate::positive::positive;
use crate::program::Command;
use crate::seeds::Seeds;
use crate::whole::whole;

/// What the user asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub seeds: Seeds,
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
            seeds: Seeds { first: 1, count: 1 },
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

pub fn help() -> String {
    let Options { seeds: Seeds { first, count }, steps, rate, test, out, .. } = Options::default();
    format!(
        "covariate_shift [OPTION...]

Section 4.1 of the paper: three hidden layers of 100 sigmoid units learn digits, 60 images a step, without batch norm
and with it. Prints a table and draws the paper's figure 1: accuracy over steps, and percentiles of what enters a
sigmoid of the last hidden layer.

  --data DIR   MNIST or Fashion-MNIST (IDX, also .gz) or CIFAR-10 (binary version); without it, digits that are drawn
               by the program
  --test N     test images: {test} by default
  --hardness   print the accuracy of a linear model on the data, and nothing else
  --out DIR    for checkpoints, table and plots: {out} by default; a run that was stopped goes on from
               there when the command is given again
  --fresh      delete the checkpoints of these runs first
  --seed N     the first seed: {first} by default
  --seeds N    how many seeds, one after the other: {count} by default
  --steps N    {steps} by default
  --rate F     learning rate of both networks: {rate} by default

Exit code: 0 when all is done, 1 when something failed, 2 for wrong arguments, 130 when stopped by Ctrl-C.",
        out = out.display(),
    )
}

/// The first argument is the program's name.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command<Options>, lexopt::Error> {
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_iter(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("fresh") => options.fresh = true,
            Long("hardness") => options.hardness = true,
            Long("data") => options.data = Some(parser.value()?.into()),
            Long("out") => options.out = parser.value()?.into(),
            Long("seed") => options.seeds.first = parser.value()?.parse()?,
            Long("seeds") => options.seeds.count = whole(&mut parser, "--seeds", 1..=1000)? as u64,
            Long("steps") => options.steps = whole(&mut parser, "--steps", 10..=usize::MAX)?,
            Long("test") => options.test = whole(&mut parser, "--test", 1..=usize::MAX)?,
            Long("rate") => options.rate = positive(&mut parser, "--rate", 1e3)?,
            other => return Err(other.unexpected()),
        }
    }
    options.seeds.range()?;
    Ok(Command::Run(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command<Options>, String> {
        parse(std::iter::once("covariate_shift").chain(line.split_whitespace()).map(OsString::from))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn options_are_read() {
        let Ok(Command::Run(options)) = parsed("--seeds 3 --rate 0.5 --out there") else {
            panic!("not read");
        };
        assert_eq!((options.seeds.count, options.rate, options.out), (3, 0.5, PathBuf::from("there")));
        assert_eq!(parsed("--help"), Ok(Command::Help));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, expected) in [
            ("--steps 3", "--steps: is \"3\", needs to be a whole number of at least 10"),
            ("--rate inf", "--rate: is \"inf\""),
            ("--seeds 0", "--seeds: is \"0\""),
            ("--seed 18446744073709551615 --seeds 2", "the last seed needs to be at most"),
            ("--seeds 99999999999999999999", "--seeds: is"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(expected), "{error} does not say {expected}");
        }
    }
}
