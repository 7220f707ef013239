//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::{Long, Short, ValueExt};

use crate::architecture::DEPTHS;
use crate::recipe::Change;
use crate::variant::Variant;

/// What the user asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub variants: Vec<Variant>,
    pub undone: Vec<Change>,
    pub seed: u64,
    pub seeds: u64,
    pub steps: usize,
    pub batch: usize,
    pub width: f64,
    pub depth: usize,
    /// Of Inception. Searched where it is not given.
    pub rate: Option<f64>,
    pub train: Option<usize>,
    pub test: usize,
    pub data: Option<PathBuf>,
    pub out: PathBuf,
    pub fresh: bool,
    pub hardness: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            variants: Variant::ALL.to_vec(),
            undone: Vec::new(),
            seed: 1,
            seeds: 1,
            steps: 800,
            batch: 64,
            width: 0.125,
            depth: 3,
            rate: None,
            train: None,
            test: 1000,
            data: None,
            out: PathBuf::from("target/inception"),
            fresh: false,
            hardness: false,
        }
    }
}

/// What the search finds for the default data and network.
const QUICK_RATE: f64 = 0.02;

/// The command line, or the wish to know it.
#[derive(Debug, PartialEq)]
pub enum Command {
    Help,
    Run(Options),
}

pub fn help() -> String {
    let Options { seed, seeds, steps, batch, width, depth, test, out, .. } = Options::default();
    let names = |names: Vec<&str>| names.join(", ");
    format!(
        "inception [OPTION...]

Trains the networks of section 4.2 of the paper at a size for one machine, and prints its table beside what was
measured here: steps to the best accuracy of Inception, speed-up over it, best accuracy.

  --data DIR       MNIST or Fashion-MNIST (IDX, also .gz) or CIFAR-10 (binary version); digits drawn on the spot
                   among clutter without it
  --train N        images to learn from: all by default
  --test N         images to measure on: {test} by default
  --hardness       print what a linear model reaches on the data, and end
  --out DIR        for checkpoints, table and plot: {out} by default; the same command goes on from there
  --fresh          begin anew, whatever is there
  --seed N         {seed} by default
  --seeds N        so many seeds, one after the other: {seeds} by default
  --steps N        {steps} by default
  --batch N        {batch} by default
  --width F        times the paper's channels: {width} by default
  --depth N        inception modules, {low} to {high}: {depth} by default
  --rate F         learning rate of Inception; searched for without it
  --variants LIST  of {variants}
  --undo LIST      changes of the paper not to be made to the networks with batch norm: {changes}
  --quick          100 steps, a rate that was searched for before: what a few minutes can show; give it before options
                   that shall differ

Exit code: 0 when all is done, 1 when something failed, 2 for wrong arguments, 130 when stopped by Ctrl-C.",
        out = out.display(),
        low = DEPTHS.start(),
        high = DEPTHS.end(),
        variants = names(Variant::ALL.map(Variant::name).to_vec()),
        changes = names(Change::ALL.map(Change::name).to_vec()),
    )
}

/// The first argument is the program's name.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_iter(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("quick") => (options.steps, options.test, options.rate) = (100, 500, Some(QUICK_RATE)),
            Long("fresh") => options.fresh = true,
            Long("hardness") => options.hardness = true,
            Long("data") => options.data = Some(parser.value()?.into()),
            Long("out") => options.out = parser.value()?.into(),
            Long("seed") => options.seed = parser.value()?.parse()?,
            Long("seeds") => options.seeds = number(&mut parser, "--seeds", 1)? as u64,
            Long("steps") => options.steps = number(&mut parser, "--steps", 10)?,
            // Batch norm has nothing to go by in a batch of 1.
            Long("batch") => options.batch = number(&mut parser, "--batch", 2)?,
            Long("train") => options.train = Some(number(&mut parser, "--train", 2)?),
            Long("test") => options.test = number(&mut parser, "--test", 1)?,
            Long("depth") => {
                options.depth = parser.value()?.parse()?;
                if !DEPTHS.contains(&options.depth) {
                    let (depth, low, high) = (options.depth, DEPTHS.start(), DEPTHS.end());
                    return Err(format!("--depth: is {depth}, needs to be from {low} to {high}").into());
                }
            }
            Long("width") => options.width = positive(&mut parser, "--width", 4.0)?,
            Long("rate") => options.rate = Some(positive(&mut parser, "--rate", 1e3)?),
            Long("variants") => {
                options.variants = list(&mut parser, "--variants", &Variant::ALL, Variant::name)?;
            }
            Long("undo") => options.undone = list(&mut parser, "--undo", &Change::ALL, Change::name)?,
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

fn positive(parser: &mut lexopt::Parser, option: &str, most: f64) -> Result<f64, lexopt::Error> {
    let text = parser.value()?.string()?;
    match text.parse() {
        Ok(number) if number > 0.0 && number <= most => Ok(number),
        _ => Err(format!("{option}: is {text:?}, needs to be a number above 0 and up to {most}").into()),
    }
}

/// Names with commas between them; what they name comes in the order of `all`.
fn list<T: Copy>(
    parser: &mut lexopt::Parser,
    option: &str,
    all: &[T],
    name: fn(T) -> &'static str,
) -> Result<Vec<T>, lexopt::Error> {
    let text = parser.value()?.string()?;
    let known: Vec<&str> = all.iter().map(|&item| name(item)).collect();
    let asked: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    if let Some(unknown) = asked.iter().find(|part| !known.iter().any(|name| name.eq_ignore_ascii_case(part)))
    {
        return Err(format!("{option}: has {unknown:?}, needs to be of {}", known.join(", ")).into());
    }
    let chosen = |item: &&T| asked.iter().any(|part| name(**item).eq_ignore_ascii_case(part));
    Ok(all.iter().filter(chosen).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(std::iter::once("inception").chain(line.split_whitespace()).map(OsString::from))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn lists_are_read_by_name() {
        let Ok(Command::Run(options)) = parsed("--variants bn-x5,Inception --undo l2,dropout") else {
            panic!("not read");
        };
        assert_eq!(options.variants, [Variant::Inception, Variant::BnX5]);
        assert_eq!(options.undone, [Change::Dropout, Change::L2]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, expected) in [
            ("--depth 11", "needs to be from 3 to 10"),
            ("--steps 3", "--steps: is \"3\""),
            ("--width -1", "--width: is \"-1\""),
            ("--rate NaN", "--rate: is \"NaN\""),
            ("--undo BN", "--undo: has \"BN\""),
            ("--variants BN-x6", "needs to be of Inception, BN-Baseline"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(expected), "{error} does not say {expected}");
        }
    }
}
