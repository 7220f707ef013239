//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::{Long, Short, ValueExt};

use crate::architecture::DEPTHS;
use crate::positive::positive;
use crate::program::Command;
use crate::recipe::Change;
use crate::seeds::Seeds;
use crate::variant::Variant;
use crate::whole::whole;

/// What the user asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub variants: Vec<Variant>,
    pub undone: Vec<Change>,
    pub seeds: Seeds,
    pub steps: usize,
    /// At the test images in a run, at most.
    pub looks: usize,
    pub batch: usize,
    pub width: f64,
    pub depth: usize,
    pub rate: Rate,
    pub train: Option<usize>,
    pub test: usize,
    pub data: Option<PathBuf>,
    pub out: PathBuf,
    pub fresh: bool,
    pub hardness: bool,
    pub quick: bool,
}

/// Where the learning rate of Inception comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    Searched,
    Given(f64),
    /// Of `--quick`.
    Preset(f64),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            variants: Variant::ALL.to_vec(),
            undone: Vec::new(),
            seeds: Seeds { first: 1, count: 1 },
            steps: 800,
            looks: 40,
            batch: 64,
            width: 0.125,
            depth: 3,
            rate: Rate::Searched,
            train: None,
            test: 1000,
            data: None,
            out: PathBuf::from("target/inception"),
            fresh: false,
            hardness: false,
            quick: false,
        }
    }
}

/// What the search finds for the default data and network.
const QUICK_RATE: f64 = 0.02;

impl Options {
    /// In a directory of its own: its runs are no part of whole ones.
    fn quick() -> Self {
        Self {
            steps: 100,
            looks: 15,
            test: 500,
            rate: Rate::Preset(QUICK_RATE),
            out: PathBuf::from("target/inception-quick"),
            quick: true,
            ..Self::default()
        }
    }
}

pub fn help() -> String {
    let Options { seeds: Seeds { first, count }, steps, batch, width, depth, test, out, .. } =
        Options::default();
    let quick = Options::quick();
    let names = |names: &[&str]| {
        names.chunks(4).map(|line| line.join(", ")).collect::<Vec<_>>().join(",\n                   ")
    };
    format!(
        "inception [OPTION...]

Trains the networks of section 4.2 of the paper at a size for one machine, and prints the paper's table beside what is
measured here: steps to the best accuracy of Inception, speed-up over Inception, best accuracy.

  --data DIR       MNIST or Fashion-MNIST (IDX, also .gz) or CIFAR-10 (binary version); without it, digits among
                   clutter that are drawn by the program
  --train N        the first N training images: all by default
  --test N         test images: {test} by default
  --hardness       print the accuracy of a linear model on the data, and nothing else
  --out DIR        for checkpoints, table and plot: {out} by default; a run that was stopped goes on from
                   there when the command is given again
  --fresh          delete the checkpoints of these runs first
  --seed N         the first seed: {first} by default
  --seeds N        how many seeds, one after the other: {count} by default
  --steps N        {steps} by default
  --batch N        images a step: {batch} by default
  --width F        times the paper's channels: {width} by default
  --depth N        inception modules, {low} to {high}: {depth} by default
  --rate F         learning rate of Inception; without it, one that is searched for on held-out training images
  --variants LIST  networks to train, with commas between them; all by default:
                   {variants}
  --undo LIST      changes that the paper makes from BN-x5 on and these runs do without; none by default:
                   {changes}
  --quick          shows in a few minutes how the program works: {quick_steps} steps, {quick_test} test images,
                   --rate {QUICK_RATE}, --out {quick_out}; other options still count

Exit code: 0 when all is done, 1 when something failed, 2 for wrong arguments, 130 when stopped by Ctrl-C.",
        out = out.display(),
        quick_steps = quick.steps,
        quick_test = quick.test,
        quick_out = quick.out.display(),
        low = DEPTHS.start(),
        high = DEPTHS.end(),
        variants = names(&Variant::ALL.map(Variant::name)),
        changes = names(&Change::ALL.map(Change::name)),
    )
}

/// The first argument is the program's name. What `--quick` presets gives way to other options, wherever they stand.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command<Options>, lexopt::Error> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    match read(arguments.clone(), Options::default())? {
        Command::Run(options) if options.quick => read(arguments, Options::quick()),
        command => Ok(command),
    }
}

fn read(arguments: Vec<OsString>, mut options: Options) -> Result<Command<Options>, lexopt::Error> {
    const ANY: usize = usize::MAX;
    let mut parser = lexopt::Parser::from_iter(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("quick") => options.quick = true,
            Long("fresh") => options.fresh = true,
            Long("hardness") => options.hardness = true,
            Long("data") => options.data = Some(parser.value()?.into()),
            Long("out") => options.out = parser.value()?.into(),
            Long("seed") => options.seeds.first = parser.value()?.parse()?,
            Long("seeds") => options.seeds.count = whole(&mut parser, "--seeds", 1..=1000)? as u64,
            Long("steps") => options.steps = whole(&mut parser, "--steps", 10..=ANY)?,
            // Batch norm has nothing to go by in a batch of 1.
            Long("batch") => options.batch = whole(&mut parser, "--batch", 2..=ANY)?,
            Long("train") => options.train = Some(whole(&mut parser, "--train", 2..=ANY)?),
            Long("test") => options.test = whole(&mut parser, "--test", 1..=ANY)?,
            Long("depth") => options.depth = whole(&mut parser, "--depth", DEPTHS)?,
            Long("width") => options.width = positive(&mut parser, "--width", 4.0)?,
            Long("rate") => options.rate = Rate::Given(positive(&mut parser, "--rate", 1e3)?),
            Long("variants") => {
                options.variants = list(&mut parser, "--variants", &Variant::ALL, Variant::name)?;
            }
            Long("undo") => options.undone = list(&mut parser, "--undo", &Change::ALL, Change::name)?,
            other => return Err(other.unexpected()),
        }
    }
    options.seeds.range()?;
    Ok(Command::Run(options))
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
    if asked.is_empty() {
        return Err(
            format!("{option}: is {text:?}, needs to have at least one of {}", known.join(", ")).into()
        );
    }
    let chosen = |item: &&T| asked.iter().any(|part| name(**item).eq_ignore_ascii_case(part));
    Ok(all.iter().filter(chosen).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command<Options>, String> {
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
    fn presets_give_way_wherever_they_stand() {
        assert_eq!(parsed("--steps 50 --rate 0.1 --quick"), parsed("--quick --rate 0.1 --steps 50"));
        let Ok(Command::Run(options)) = parsed("--steps 50 --quick") else {
            panic!("not read");
        };
        assert_eq!((options.steps, options.test, options.rate), (50, 500, Rate::Preset(QUICK_RATE)));
        assert_ne!(options.out, Options::default().out);
    }

    #[test]
    fn a_value_is_no_option() {
        let Ok(Command::Run(options)) = parsed("--out=--quick") else {
            panic!("not read");
        };
        assert_eq!((options.quick, options.steps), (false, Options::default().steps));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, expected) in [
            ("--depth 11", "needs to be a whole number from 3 to 10"),
            ("--steps 3", "--steps: is \"3\""),
            ("--width -1", "--width: is \"-1\""),
            ("--rate NaN", "--rate: is \"NaN\""),
            ("--undo BN", "--undo: has \"BN\""),
            ("--variants ,", "--variants: is \",\", needs to have at least one of Inception"),
            ("--seed 18446744073709551615 --seeds 2", "the last seed needs to be at most"),
            ("--seeds 0", "--seeds: is \"0\""),
            ("--variants BN-x6", "needs to be of Inception, BN-Baseline"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(expected), "{error} does not say {expected}");
        }
    }
}
