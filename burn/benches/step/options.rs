//! What the benchmark is told on its command line.

const HELP: &str = "\
Options:
  --batch N     images in a batch (default 32)
  --size N      their height and width (default 32)
  --channels N  channels of the first convolution; the second has twice as many (default 16)
  --turns N     turns of each network (default 15)
  --steps N     steps in a turn (default 4)
  --kernels     list the kernels that a step launches

With Burn's fusion: as it is. Without: --no-default-features. As Burn's users have it: --features autotune.
";

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Options {
    pub batch: usize,
    pub size: usize,
    pub channels: usize,
    pub turns: usize,
    pub steps: usize,
    pub kernels: bool,
}

impl Options {
    /// `None` where help was asked for.
    pub fn parse() -> Result<Option<Self>, lexopt::Error> {
        use lexopt::prelude::*;
        let mut options = Self { batch: 32, size: 32, channels: 16, turns: 15, steps: 4, kernels: false };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            let number = match argument {
                Long("batch") => &mut options.batch,
                Long("size") => &mut options.size,
                Long("channels") => &mut options.channels,
                Long("turns") => &mut options.turns,
                Long("steps") => &mut options.steps,
                Long("kernels") => {
                    options.kernels = true;
                    continue;
                }
                // Cargo says so to every benchmark.
                Long("bench") => continue,
                Long("help") => {
                    print!("{HELP}");
                    return Ok(None);
                }
                other => return Err(other.unexpected()),
            };
            *number = parser.value()?.parse::<std::num::NonZero<usize>>()?.get();
        }
        Ok(Some(options))
    }
}
