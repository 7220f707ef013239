//! What the arguments of a benchmark say: which device, which cells, for how long.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use lexopt::ValueExt;
use wgpu_batchnorm::{Dtype, wgpu};

use crate::adapter::{self, Choice};
use crate::cell::{Cache, Layout, Operation, Scale};

const HELP: &str = "  --scale NAME         full: the standard shapes; small: their batch by 8; smoke: just to see that it works.
                       full by default, small on a software adapter
  --shape SUBSTRING    only shapes that contain this, as in 64x112x112
  --operation NAME     only training, inference or backward
  --dtype NAME         only f32 or f16
  --layout NAME        only channels_first or channels_last
  --cache NAME         only cold or warm
  --cache-mib N        memory that a cold run rotates over, at least twice the last cache: 128 by default
  --rounds N           rounds at most: 30 by default, 7 on a software adapter
  --seconds N          time for the rounds of one group of cells, 3 rounds at least: 1 by default, 4 in software
  --budget N           seconds for all; cells that are left then are named and not measured
  --timer NAME         timestamps or wall; timestamps by default where the device has them
  --default-limits     a device with WebGPU's default limits and no features but timestamps
  --quick              --scale smoke --rounds 3 --seconds 1 --cache-mib 8
  --json FILE          write the rows, with all samples
";

/// Exit code where there is nothing to measure on.
const NO_DEVICE: u8 = 1;

/// How times are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    Timestamps,
    Wall,
}

#[derive(Clone, Debug, Default)]
pub struct Options {
    pub scale: Option<Scale>,
    pub shape: Option<String>,
    pub operation: Option<Operation>,
    pub dtype: Option<Dtype>,
    pub layout: Option<Layout>,
    pub cache: Option<Cache>,
    pub cache_mib: Option<u32>,
    pub rounds: Option<u32>,
    pub seconds: Option<u32>,
    pub timer: Option<Timer>,
    pub default_limits: bool,
    pub json: Option<PathBuf>,
    deadline: Option<Instant>,
}

impl Options {
    /// Reads the command line; otherwise says what is wrong with it, or answers it, and how the process ends.
    pub fn parse(what: &str) -> Result<(Choice, Self), ExitCode> {
        let help = format!("{what}\n\n{HELP}{}", adapter::HELP);
        let mut options = Self::default();
        let choice = Choice::parse(|name, parser| options.take(name, parser), |_| false)
            .map_err(|error| adapter::misused(&help, &error))?;
        match choice.answer(&help) {
            Some(code) => Err(code),
            None => Ok((choice, options)),
        }
    }

    fn take(&mut self, name: &str, parser: &mut lexopt::Parser) -> Result<bool, lexopt::Error> {
        match name {
            // Given by cargo.
            "bench" => {}
            "quick" => {
                self.scale = Some(Scale::Smoke);
                (self.rounds, self.seconds, self.cache_mib) = (Some(3), Some(1), Some(8));
            }
            "scale" => self.scale = Some(one_of(name, parser, &Scale::ALL)?),
            "operation" => self.operation = Some(one_of(name, parser, &Operation::ALL)?),
            "dtype" => self.dtype = Some(one_of(name, parser, &Dtype::ALL)?),
            "layout" => self.layout = Some(one_of(name, parser, &Layout::ALL)?),
            "cache" => self.cache = Some(one_of(name, parser, &Cache::ALL)?),
            "timer" => self.timer = Some(one_of(name, parser, &[Timer::Timestamps, Timer::Wall])?),
            "shape" => self.shape = Some(parser.value()?.string()?),
            "cache-mib" => self.cache_mib = Some(number(name, parser)?),
            "rounds" => self.rounds = Some(number(name, parser)?),
            "seconds" => self.seconds = Some(number(name, parser)?),
            "budget" => {
                self.deadline = Some(Instant::now() + Duration::from_secs(number(name, parser)?.into()));
            }
            "default-limits" => self.default_limits = true,
            "json" => self.json = Some(parser.value()?.into()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Whether the time given is over.
    pub fn late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    pub fn cache_bytes(&self) -> u64 {
        u64::from(self.cache_mib.unwrap_or(128)) << 20
    }
}

/// The adapter, or the exit code where there is none: that has been said.
pub fn adapter(choice: &Choice) -> Result<wgpu::Adapter, ExitCode> {
    choice.adapter().map_err(|_| ExitCode::from(NO_DEVICE))
}

/// Says why a benchmark cannot go on.
pub fn failed(error: &dyn std::fmt::Display) -> ExitCode {
    let _ = adapter::unusable(error);
    ExitCode::from(NO_DEVICE)
}

impl std::fmt::Display for Timer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Timestamps => "timestamps",
            Self::Wall => "wall",
        })
    }
}

fn one_of<T: Copy + std::fmt::Display>(
    option: &str,
    parser: &mut lexopt::Parser,
    all: &[T],
) -> Result<T, lexopt::Error> {
    let text = parser.value()?.string()?;
    if let Some(found) = all.iter().find(|known| known.to_string() == text) {
        return Ok(*found);
    }
    let names: Vec<String> = all.iter().map(T::to_string).collect();
    Err(format!("--{option}: is {text:?}, needs to be one of {}", names.join(", ")).into())
}

fn number(option: &str, parser: &mut lexopt::Parser) -> Result<u32, lexopt::Error> {
    let text = parser.value()?.string()?;
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("--{option}: is {text:?}, needs to be a whole number of at least 1").into()),
    }
}
