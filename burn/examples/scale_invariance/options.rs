//! The command line.

use std::ffi::OsString;

use lexopt::prelude::{Long, Short, ValueExt};

use crate::program::Command;
use crate::whole::whole;

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
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command<Options>, lexopt::Error> {
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_iter(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("seed") => options.seed = parser.value()?.parse()?,
            Long("batch") => options.batch = whole(&mut parser, "--batch", 3..=1 << 16)?,
            // Of one input, only the sign of its weight would be left; of few, some units have next to no weight at all.
            Long("inputs") => options.inputs = whole(&mut parser, "--inputs", 16..=1 << 16)?,
            Long("outputs") => options.outputs = whole(&mut parser, "--outputs", 1..=1 << 16)?,
            other => return Err(other.unexpected()),
        }
    }
    check(&options)?;
    Ok(Command::Run(options))
}

/// WebGPU's default limit on what a shader sees of a buffer, 128 MiB, in values.
const LARGEST: usize = 1 << 25;

/// Each tensor has to fit; the extents, of at most 2^16 each, do not overflow a product.
fn check(options: &Options) -> Result<(), String> {
    let Options { batch, inputs, outputs, .. } = *options;
    let (batch, inputs, outputs) = (("--batch", batch), ("--inputs", inputs), ("--outputs", outputs));
    for (a, b) in [(batch, inputs), (inputs, outputs), (batch, outputs)] {
        if a.1.saturating_mul(b.1) > LARGEST {
            return Err(format!(
                "{}, {}: are {} and {}, the product needs to be at most {LARGEST}",
                a.0, b.0, a.1, b.1
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        for (line, expected) in [
            ("--batch 2", "--batch: is \"2\", needs to be a whole number from 3 to 65536"),
            ("--batch 65536 --outputs 513", "--batch, --outputs: are 65536 and 513"),
            ("--inputs 65536 --outputs 65536", "--inputs, --outputs: are 65536 and 65536"),
        ] {
            let words = std::iter::once("scale_invariance").chain(line.split_whitespace());
            let error = parse(words.map(OsString::from)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} does not say {expected}");
        }
    }
}
