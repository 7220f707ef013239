//! The command line.

use std::path::PathBuf;

use lexopt::ValueExt;

use crate::measure::{Cache, Effort};
use crate::problem::{Dimensions, Operation};

pub const HELP: &str = "burn-peer [options]: Burn's own batch norm against wgpu-batchnorm, on one wgpu device

  --scale small|full   shapes for a software driver (default), or for a GPU
  --shape NxCxHxW      this shape instead; any number of times, 2 to 5 dimensions
  --operation NAME     training, inference or backward only; any number of times
  --cache NAME         warm (one set of tensors) or cold (rotating); both by default
  --rounds N           turns of each system in a cell; default 15
  --turn-ms N          length of a turn of ours; default 40
  --json FILE          write a row for each system and cell
  --kernels            also say what Burn launches, kernel by kernel, with times
  --backend NAME       vulkan, metal or dx12; any by default
  --adapter SUBSTRING  an adapter whose name contains this
  --help               this text

Markdown goes to standard output, progress to standard error.";

/// What to measure, and how.
#[derive(Clone, Debug)]
pub struct Options {
    pub shapes: Vec<Dimensions>,
    pub operations: Vec<Operation>,
    pub caches: Vec<Cache>,
    pub effort: Effort,
    pub json: Option<PathBuf>,
    pub kernels: bool,
    pub backend: Option<wgpu::Backend>,
    pub adapter: Option<String>,
    pub help: bool,
}

impl Options {
    pub fn parse() -> Result<Self, lexopt::Error> {
        use lexopt::Arg::{Long, Short};
        let mut options = Self {
            shapes: Vec::new(),
            operations: Vec::new(),
            caches: Vec::new(),
            effort: Effort { rounds: 15, turn_ms: 40.0 },
            json: None,
            kernels: false,
            backend: None,
            adapter: None,
            help: false,
        };
        let mut scale = Dimensions::small();
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Short('h') | Long("help") => options.help = true,
                Long("kernels") => options.kernels = true,
                Long("scale") => {
                    let scales = [("small", Dimensions::small()), ("full", Dimensions::full())];
                    scale = one_of("--scale", &parser.value()?.string()?, &scales)?;
                }
                Long("shape") => options.shapes.push(parser.value()?.parse()?),
                Long("operation") => {
                    let operations = Operation::ALL.map(|operation| (operation.name(), operation));
                    options.operations.push(one_of("--operation", &parser.value()?.string()?, &operations)?);
                }
                Long("cache") => {
                    let caches = [Cache::Warm, Cache::Cold].map(|cache| (cache.name(), cache));
                    options.caches.push(one_of("--cache", &parser.value()?.string()?, &caches)?);
                }
                Long("rounds") => options.effort.rounds = parser.value()?.parse::<usize>()?.max(1),
                Long("turn-ms") => options.effort.turn_ms = parser.value()?.parse()?,
                Long("json") => options.json = Some(parser.value()?.into()),
                Long("adapter") => options.adapter = Some(parser.value()?.string()?),
                Long("backend") => {
                    let backends = [
                        ("vulkan", wgpu::Backend::Vulkan),
                        ("metal", wgpu::Backend::Metal),
                        ("dx12", wgpu::Backend::Dx12),
                    ];
                    options.backend = Some(one_of("--backend", &parser.value()?.string()?, &backends)?);
                }
                other => return Err(other.unexpected()),
            }
        }
        if options.shapes.is_empty() {
            options.shapes = scale;
        }
        if options.operations.is_empty() {
            options.operations = Operation::ALL.to_vec();
        }
        if options.caches.is_empty() {
            options.caches = vec![Cache::Warm, Cache::Cold];
        }
        Ok(options)
    }
}

fn one_of<T: Clone>(option: &str, got: &str, known: &[(&str, T)]) -> Result<T, lexopt::Error> {
    if let Some((_, value)) = known.iter().find(|(name, _)| *name == got) {
        return Ok(value.clone());
    }
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    Err(format!("{option}: is {got:?}, needs to be one of {}", names.join(", ")).into())
}
