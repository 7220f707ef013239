//! How fast this device copies: the driver's own copy, and WGSL kernels of every workgroup size and unrolling. Whatever
//! reads and writes memory is measured by the best of these; a kernel of ours cannot be faster than a WGSL one.
//!
//! `cargo bench --bench copy -- --help`

#[path = "../examples/support/adapter.rs"]
mod adapter;
#[path = "support/cell.rs"]
#[expect(dead_code, reason = "shared with the benchmarks of shapes")]
mod cell;
#[path = "support/contest.rs"]
mod contest;
#[path = "support/copy.rs"]
mod copy;
#[path = "support/gpu.rs"]
#[expect(dead_code, reason = "shared with the benchmarks of shapes")]
mod gpu;
#[path = "../examples/support/guard.rs"]
mod guard;
#[path = "support/options.rs"]
mod options;
#[path = "support/row.rs"]
#[expect(dead_code, reason = "shared with the benchmarks of shapes")]
mod row;
#[path = "support/statistics.rs"]
#[expect(dead_code, reason = "shared with the benchmarks of shapes")]
mod statistics;
#[path = "support/stopwatch.rs"]
mod stopwatch;
#[path = "support/table.rs"]
mod table;
#[path = "support/tensors.rs"]
#[expect(dead_code, reason = "shared with the benchmarks of shapes")]
mod tensors;

use std::error::Error;
use std::process::ExitCode;

use wgpu_batchnorm::{Dtype, wgpu};

use cell::Cache;
use contest::{Effort, contest};
use copy::{DriverCopy, Kernel, kinds};
use gpu::Gpu;
use guard::guarded;
use options::Options;
use row::Row;
use statistics::Quartiles;
use stopwatch::{Stopwatch, Timed, Times, begin_pass};
use table::{Table, digits, print, say};
use tensors::{Tensors, sets_for};

const WHAT: &str = "copy [OPTION...]

Times copies of 4 to 256 MiB, cold and warm: copy_buffer_to_buffer, and WGSL kernels that copy 1 to 8 vectors of 16 bytes
in each of 64 to 1024 invocations. Then what passes and dispatches cost that do nothing.

  GB/s counts bytes read and written; best is marked, and given as a fraction of the driver's copy
";

/// Sizes in MiB at each scale.
const SIZES: [(&str, &[u64]); 3] = [("full", &[4, 16, 64, 256]), ("small", &[4, 16, 64]), ("smoke", &[1, 4])];

/// Passes of so many dependent dispatches of one workgroup.
const CHAINS: [u32; 3] = [1, 2, 8];

fn main() -> ExitCode {
    let outcome = Options::parse(WHAT).and_then(|(choice, options)| {
        let adapter = options::adapter(&choice)?;
        run(&adapter, &options).map_err(|error| options::failed(&error))
    });
    outcome.err().unwrap_or(ExitCode::SUCCESS)
}

fn run(adapter: &wgpu::Adapter, options: &Options) -> Result<(), Box<dyn Error>> {
    let gpu = Gpu::open(adapter, options)?;
    let stopwatch = Stopwatch::new(&gpu);
    print(&format!("time:    {}\n", stopwatch.method()));
    let effort = Effort::new(&gpu, options);
    let scale = options.scale.unwrap_or(if gpu.software { cell::Scale::Small } else { cell::Scale::Full });
    let sizes = SIZES.iter().find(|(name, _)| *name == scale.to_string()).map_or(&[][..], |(_, sizes)| sizes);
    let caches = options.cache.map_or_else(|| Cache::ALL.to_vec(), |cache| vec![cache]);

    let names: Vec<String> = kinds(&gpu).iter().map(ToString::to_string).collect();
    let mut rows = Vec::new();
    for cache in caches {
        let mut table = Vec::new();
        for &mib in sizes.iter().take_while(|_| !options.late()) {
            say(&format!("{mib} MiB {cache}"));
            table.push(guarded(&gpu.device, || sweep(&gpu, &stopwatch, options, effort, cache, mib))?);
        }
        say("");
        show(cache, &sizes[..table.len()], &names, &table);
        rows.extend(table.into_iter().flatten());
    }
    rows.extend(guarded(&gpu.device, || nothing(&gpu, &stopwatch, effort))?);
    options.json.as_ref().map_or(Ok(()), |path| row::write(path, &rows))
}

fn row(gpu: &Gpu, shape: String, variant: String, cache: Cache, bytes: u64, samples: &[f64]) -> Row {
    let row = Row {
        shape,
        operation: if bytes > 0 { "copy" } else { "nothing" }.into(),
        dtype: "f32".into(),
        layout: "channels_first".into(),
        variant,
        cache: cache.to_string(),
        bytes,
        ..gpu.row()
    };
    row.timed(samples)
}

/// All copies of one size: the driver's first.
fn sweep(
    gpu: &Gpu,
    stopwatch: &Stopwatch<'_>,
    options: &Options,
    effort: Effort,
    cache: Cache,
    mib: u64,
) -> Result<Vec<Row>, Box<dyn Error>> {
    let bytes = mib << 20;
    let sets = sets_for(bytes, options.cache_bytes());
    let tensors = Tensors::new(gpu, bytes, Dtype::F32, 1, sets, 4);
    let kernels: Vec<Kernel> = kinds(gpu).into_iter().map(|kind| Kernel::new(gpu, kind)).collect();
    let copies: Vec<_> = kernels.iter().map(|kernel| kernel.over(gpu, &tensors.sets)).collect();
    let driver = DriverCopy(&tensors.sets);
    let mut all: Vec<&dyn Timed> = vec![&driver];
    for copy in &copies {
        all.push(copy);
    }
    let samples = contest(gpu, stopwatch, &all, cache, sets, effort)?;
    let names =
        std::iter::once("driver".to_owned()).chain(kernels.iter().map(|kernel| kernel.kind.to_string()));
    let rows = names
        .zip(&samples)
        .map(|(name, samples)| row(gpu, format!("{mib} MiB"), name, cache, 2 * bytes, samples));
    Ok(rows.collect())
}

/// A line for each kind of copy, a column for each size.
fn show(cache: Cache, sizes: &[u64], names: &[String], sweeps: &[Vec<Row>]) {
    let (kind, titles) = (format!("copy, {cache}"), sizes.iter().map(|mib| format!("{mib} MiB, GB/s")));
    let titles: Vec<String> = titles.collect();
    let columns =
        std::iter::once((kind.as_str(), -14)).chain(titles.iter().map(|title| (title.as_str(), 14)));
    let best = |rows: &[Row]| rows[1..].iter().map(|row| row.gb_per_s).fold(0.0, f64::max);
    let table = Table::begin(columns);
    for index in 0..=names.len() {
        let name = if index == 0 { "driver" } else { &names[index - 1] };
        let rates = sweeps.iter().map(|rows| {
            let row = &rows[index];
            let mark = if index > 0 && row.gb_per_s >= best(rows) { "* " } else { "" };
            format!("{mark}{}", digits(row.gb_per_s))
        });
        table.row(std::iter::once(name.to_owned()).chain(rates).collect());
    }
    let parts = sweeps.iter().map(|rows| format!("{:.2}", best(rows) / rows[0].gb_per_s));
    table.row(std::iter::once("best by driver".to_owned()).chain(parts).collect());
    print("");
}

/// A compute pass of so many dispatches that each add one to the same word.
struct Chain {
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
    dispatches: u32,
}

impl Timed for Chain {
    fn record(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        _set: usize,
        times: Option<Times<'_>>,
    ) -> Result<(), Box<dyn Error>> {
        let mut pass = begin_pass(encoder, times);
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        for _ in 0..self.dispatches {
            pass.dispatch_workgroups(1, 1, 1);
        }
        Ok(())
    }
}

/// What passes cost that do next to nothing: the price of one more launch.
fn nothing(gpu: &Gpu, stopwatch: &Stopwatch<'_>, effort: Effort) -> Result<Vec<Row>, Box<dyn Error>> {
    let source = "@group(0) @binding(0) var<storage, read_write> word: array<u32>;
@compute @workgroup_size(64) fn step(@builtin(local_invocation_index) i: u32) { word[i] += 1u; }";
    let source = wgpu::ShaderSource::Wgsl(source.into());
    let module = gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
    let word = gpu.buffer(256);
    let chains = CHAINS.map(|dispatches| {
        let pipeline = gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("step"),
            layout: None,
            module: &module,
            entry_point: Some("step"),
            compilation_options: Default::default(),
            cache: None,
        });
        let bind_group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[wgpu::BindGroupEntry { binding: 0, resource: word.as_entire_binding() }],
        });
        Chain { pipeline, bind_group, dispatches }
    });
    let all: Vec<&dyn Timed> = chains
        .iter()
        .map(|chain| {
            let timed: &dyn Timed = chain;
            timed
        })
        .collect();
    let samples = contest(gpu, stopwatch, &all, Cache::Warm, 1, effort)?;
    let table = Table::begin([("dependent dispatches in a pass", -30), ("us", 8), ("spread", 6)]);
    let rows = CHAINS.iter().zip(&samples).map(|(dispatches, samples)| {
        let Quartiles { q1, median, q3, .. } = Quartiles::of(samples);
        let spread = format!("{:.0} %", (q3 - q1) / median * 100.0);
        table.row(vec![format!("{dispatches} of one workgroup"), digits(median), spread]);
        row(gpu, "256 B".into(), format!("{dispatches} dispatches"), Cache::Warm, 0, samples)
    });
    Ok(rows.collect())
}
