//! A run on one device: group by group, each beside a copy of the same bytes.

use std::error::Error;
use std::process::ExitCode;

use wgpu_batchnorm::{Dtype, Plan, Shape};

use crate::cell::{Cache, Dims, Layout, Operation, Scale};
use crate::contest::{Effort, contest};
use crate::copy::{DriverCopy, Kernel, kinds};
use crate::gpu::Gpu;
use crate::guard::guarded;
use crate::layer::Layer;
use crate::options::{self, Options};
use crate::row::{self, Row};
use crate::statistics::Quartiles;
use crate::stopwatch::{Stopwatch, Timed};
use crate::table::{print, say};
use crate::tensors::{Tensors, sets_for};

/// Bytes that the copy kernels are compared on, before all else: on a GPU, and in software.
const CALIBRATION: [u64; 2] = [64 << 20, 16 << 20];

/// Copy kernels that take part in each group: the best of all kinds.
const FINALISTS: usize = 2;

/// An operation to be measured.
pub struct Candidate {
    pub operation: Operation,
    pub layout: Layout,
    pub plan: Plan,
    /// Whether the plan takes it by itself.
    pub chosen: bool,
}

/// Tensors of one size, in both layouts, that are measured together.
#[derive(Clone, Copy)]
pub struct Group {
    pub dims: Dims,
    pub dtype: Dtype,
}

impl std::fmt::Display for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.dims, self.dtype)
    }
}

pub struct Session<'a> {
    pub gpu: &'a Gpu,
    pub options: &'a Options,
    stopwatch: Stopwatch<'a>,
    kernels: Vec<Kernel>,
    effort: Effort,
}

/// What every benchmark of shapes does: finds a device, and runs `work` on it.
pub fn run(what: &str, work: impl FnOnce(&Session<'_>) -> Result<(), Box<dyn Error>>) -> ExitCode {
    let outcome = Options::parse(what).and_then(|(choice, options)| {
        let adapter = options::adapter(&choice)?;
        let measured = || {
            let gpu = Gpu::open(&adapter, &options)?;
            let session = guarded(&gpu.device, || Session::new(&gpu, &options))?;
            work(&session)
        };
        measured().map_err(|error: Box<dyn Error>| options::failed(&error))
    });
    outcome.err().unwrap_or(ExitCode::SUCCESS)
}

impl<'a> Session<'a> {
    fn new(gpu: &'a Gpu, options: &'a Options) -> Result<Self, Box<dyn Error>> {
        let stopwatch = Stopwatch::new(gpu);
        print(&format!("time:    {}", stopwatch.method()));
        let effort = Effort::new(gpu, options);
        let mut session = Self { gpu, options, stopwatch, kernels: Vec::new(), effort };
        session.calibrate()?;
        Ok(session)
    }

    /// Finds the best copy kernels.
    fn calibrate(&mut self) -> Result<(), Box<dyn Error>> {
        say("calibrating the copy");
        let bytes = CALIBRATION[usize::from(self.gpu.software)];
        let sets = sets_for(bytes, self.options.cache_bytes());
        let tensors = Tensors::new(self.gpu, bytes, Dtype::F32, 1, sets, 4);
        let kernels: Vec<Kernel> =
            kinds(self.gpu).into_iter().map(|kind| Kernel::new(self.gpu, kind)).collect();
        let copies: Vec<_> = kernels.iter().map(|kernel| kernel.over(self.gpu, &tensors.sets)).collect();
        let all: Vec<&dyn Timed> = copies.iter().map(dynamic).collect();
        let samples = contest(self.gpu, &self.stopwatch, &all, Cache::Cold, sets, self.effort)?;
        let mut order: Vec<(f64, usize)> = samples
            .iter()
            .enumerate()
            .map(|(index, samples)| (Quartiles::of(samples).median, index))
            .collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        drop(copies);
        let best: Vec<usize> = order.iter().take(FINALISTS).map(|&(_, index)| index).collect();
        let kept = kernels.into_iter().enumerate().filter(|(index, _)| best.contains(index));
        self.kernels = kept.map(|(_, kernel)| kernel).collect();
        let names: Vec<String> = self.kernels.iter().map(|kernel| kernel.kind.to_string()).collect();
        print(&format!("copies:  copy_buffer_to_buffer, {}; the fastest counts\n", names.join(", ")));
        Ok(())
    }

    pub fn scale(&self) -> Scale {
        self.options.scale.unwrap_or(if self.gpu.software { Scale::Small } else { Scale::Full })
    }

    /// The groups asked for.
    pub fn groups(&self) -> Vec<Group> {
        let wanted = |dims: &Dims| {
            self.options.shape.as_ref().is_none_or(|part| dims.to_string().contains(part.as_str()))
        };
        let dtypes = || Dtype::ALL.into_iter().filter(|dtype| self.options.dtype.is_none_or(|d| d == *dtype));
        let shapes = self.scale().shapes().filter(wanted);
        shapes.flat_map(|dims| dtypes().map(move |dtype| Group { dims, dtype })).collect()
    }

    /// The operations and layouts of a group that are asked for, with their shapes.
    pub fn cells(&self, group: Group) -> Result<Vec<(Operation, Layout, Shape)>, wgpu_batchnorm::Error> {
        let Options { operation, layout, .. } = *self.options;
        let layouts = group.dims.layouts().iter().filter(|found| layout.is_none_or(|l| l == **found));
        let operations = Operation::ALL.into_iter().filter(|found| operation.is_none_or(|o| o == *found));
        let operations: Vec<Operation> = operations.collect();
        let cells = layouts.flat_map(|&layout| operations.iter().map(move |&operation| (operation, layout)));
        cells
            .map(|(operation, layout)| Ok((operation, layout, group.dims.shape(layout, group.dtype)?)))
            .collect()
    }

    /// Measures a group, with fewer sets of tensors where memory does not suffice. Gives the rows of the copies too.
    pub fn measure(
        &self,
        group: Group,
        candidates: &[Candidate],
        caches: &[Cache],
    ) -> Result<Vec<Row>, Box<dyn Error>> {
        let sets = sets_for(group.dims.bytes(group.dtype), self.options.cache_bytes());
        let attempt = |sets| guarded(&self.gpu.device, || self.measure_over(group, candidates, caches, sets));
        attempt(sets).or_else(|error| match sets {
            sets if sets <= 8 && error.to_string().contains("out of memory") => attempt(2),
            _ => Err(error),
        })
    }

    fn measure_over(
        &self,
        Group { dims, dtype }: Group,
        candidates: &[Candidate],
        caches: &[Cache],
        sets: usize,
    ) -> Result<Vec<Row>, Box<dyn Error>> {
        let workspace = candidates.iter().map(|candidate| candidate.plan.workspace_size()).max();
        let bytes = dims.bytes(dtype);
        let tensors = Tensors::new(self.gpu, bytes, dtype, dims.channels, sets, workspace.unwrap_or(0));
        let mut layers = Vec::new();
        for Candidate { operation, layout, plan, .. } in candidates {
            layers.push(Layer::new(&self.gpu.context, *operation, *layout, plan.clone(), &tensors)?);
        }
        for layer in &layers {
            layer.look(self.gpu)?;
        }
        let kernels: Vec<_> = self.kernels.iter().map(|k| k.over(self.gpu, &tensors.sets)).collect();
        let driver = DriverCopy(&tensors.sets);
        let mut all: Vec<&dyn Timed> = vec![&driver];
        all.extend(kernels.iter().map(dynamic));
        let copies = all.len();
        all.extend(layers.iter().map(dynamic));

        let mut rows = Vec::new();
        for &cache in caches {
            let samples = contest(self.gpu, &self.stopwatch, &all, cache, sets, self.effort)?;
            let (copied, worked) = samples.split_at(copies);
            let names = std::iter::once("driver".to_owned())
                .chain(self.kernels.iter().map(|kernel| kernel.kind.to_string()));
            let copied = names.zip(copied).map(|(variant, samples)| {
                let row = Row {
                    shape: dims.to_string(),
                    operation: "copy".into(),
                    dtype: dtype.to_string(),
                    layout: Layout::ChannelsFirst.to_string(),
                    variant,
                    cache: cache.to_string(),
                    passes: Some(2),
                    launches: Some(1),
                    bytes: 2 * bytes,
                    ..self.gpu.row()
                };
                row.timed(samples)
            });
            let copied: Vec<Row> = copied.collect();
            let best = copied.iter().map(|row| row.median_us).fold(f64::INFINITY, f64::min);
            rows.extend(copied);
            for ((layer, samples), candidate) in layers.iter().zip(worked).zip(candidates) {
                let mut row = layer.row(self.gpu, &dims, dtype);
                (row.cache, row.chosen) = (cache.to_string(), Some(candidate.chosen));
                let row = row.timed(samples);
                rows.push(row.against_copy(best, bytes, layer.operation.minimal_passes()));
            }
        }
        Ok(rows)
    }

    /// The states of the cache asked for, of those that a benchmark measures by default.
    pub fn caches(&self, by_default: &[Cache]) -> Vec<Cache> {
        self.options.cache.map_or_else(|| by_default.to_vec(), |cache| vec![cache])
    }

    /// Writes the rows where `--json` says.
    pub fn write(&self, rows: &[Row]) -> Result<(), Box<dyn Error>> {
        self.options.json.as_ref().map_or(Ok(()), |path| row::write(path, rows))
    }
}

fn dynamic<T: Timed>(timed: &T) -> &dyn Timed {
    timed
}
