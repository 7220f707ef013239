//! What recording costs on the CPU: microseconds and heap allocations for each call of `encode` on a prepared layer.
//!
//! `cargo bench --bench host_cost -- --help`

#[path = "../examples/support/adapter.rs"]
mod adapter;
#[path = "support/row.rs"]
#[expect(dead_code, reason = "rows of their own kind are written here")]
mod row;
#[path = "support/statistics.rs"]
#[expect(dead_code, reason = "shared with the benchmarks that take means")]
mod statistics;
#[path = "support/table.rs"]
#[expect(dead_code, reason = "shared with the benchmarks that show their progress")]
mod table;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use allocation_counter::{AllocationInfo, measure};
use serde::Serialize;
use wgpu_batchnorm::{
    Backward, BackwardBuffers, BackwardOptions, Context, Dtype, Inference, InferenceBuffers,
    InferenceOptions, Plan, SavedStatistics, Shape, Training, TrainingBuffers, TrainingOptions, wgpu,
};

use statistics::Quartiles;
use table::{Table, digits, print};

/// Calls of a round, into one encoder.
const CALLS: u32 = 200;

const WHAT: &str = "host_cost [OPTION...]

Times calls of `encode` on prepared layers, operations taking turns: what an application pays on the CPU for each, with
what wgpu does in it. Counts the heap allocations of the calling thread by Rust code, so not those of a driver in C.

  us           median of the rounds; spread: distance of its quartiles, in percent of it
  allocations  for each call; first: in the first one; bytes: allocated by a later one
  kept         bytes for each call that are still there after submitting and waiting
  prepared     allocations of `prepare` on a layer that is prepared: what the library does without wgpu's recording

  --rounds N           31 by default
  --json FILE          write the rows
";

/// A row of the JSON file.
#[derive(Serialize)]
struct Row<'a> {
    system: &'a str,
    device: &'a str,
    backend: &'a str,
    driver: &'a str,
    shape: &'a str,
    operation: &'a str,
    plan: String,
    launches: usize,
    calls: u32,
    rounds: usize,
    median_us: f64,
    q1_us: f64,
    q3_us: f64,
    min_us: f64,
    allocations_first: u64,
    allocations: f64,
    allocated_bytes: f64,
    kept_bytes: f64,
    prepare_allocations: u64,
}

type Recorded = Result<(), wgpu_batchnorm::Error>;

/// An operation over its buffers.
struct Prepared<'a> {
    name: &'static str,
    plan: &'a Plan,
    encode: Box<dyn Fn(&mut wgpu::CommandEncoder) -> Recorded + 'a>,
    prepare: Box<dyn Fn() -> Recorded + 'a>,
}

/// What was counted of one operation.
#[derive(Default)]
struct Counts {
    first: u64,
    prepare: u64,
    times: Vec<f64>,
    later: Vec<AllocationInfo>,
    kept: Vec<f64>,
}

#[derive(Default)]
struct Options {
    rounds: Option<usize>,
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let help = format!("{WHAT}{}", adapter::HELP);
    let mut options = Options::default();
    let own = |name: &str, parser: &mut lexopt::Parser| {
        match name {
            "json" => options.json = Some(parser.value()?.into()),
            "rounds" => {
                let text = lexopt::ValueExt::string(parser.value()?)?;
                let rounds = text.parse().ok().filter(|&rounds| rounds > 0);
                let wrong = || format!("--rounds: is {text:?}, needs to be a whole number of at least 1");
                options.rounds = Some(rounds.ok_or_else(wrong)?);
            }
            // Given by cargo.
            "bench" => {}
            _ => return Ok(false),
        }
        Ok(true)
    };
    let choice = match adapter::Choice::parse(own, |_| false) {
        Ok(choice) => choice,
        Err(error) => return adapter::misused(&help, &error),
    };
    if let Some(code) = choice.answer(&help) {
        return code;
    }
    let Ok(adapter) = choice.adapter() else { return ExitCode::FAILURE };
    match run(&adapter, &options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = adapter::unusable(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(adapter: &wgpu::Adapter, options: &Options) -> Result<(), Box<dyn Error>> {
    let rounds = options.rounds.unwrap_or(31);
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default()))?;
    let context = Context::new(&device);
    // Small, so that the GPU's share of a submit stays small beside the recording.
    let shape = Shape::new(&[8, 16, 4, 4], 1, Dtype::F32)?;
    let inference = Inference::new(&context, &shape, InferenceOptions::default())?;
    let training = Training::new(&context, &shape, TrainingOptions::default())?;
    let backward = Backward::new(&context, &shape, BackwardOptions::default())?;

    let buffer = |size| {
        let usage = wgpu::BufferUsages::STORAGE;
        device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
    };
    let [x, y, dy, dx] = [(); 4].map(|()| buffer(shape.size_in_bytes()));
    let channels = u64::from(shape.channels());
    let [gamma, beta, mean, variance, dgamma, dbeta] = [(); 6].map(|()| buffer(channels * 4));
    let saved = buffer(channels * SavedStatistics::SIZE);
    let workspace = buffer(training.workspace_size().max(backward.workspace_size()));
    let whole = wgpu::Buffer::as_entire_buffer_binding;

    let inference_buffers = InferenceBuffers {
        x: whole(&x),
        y: whole(&y),
        gamma: Some(whole(&gamma)),
        beta: Some(whole(&beta)),
        running_mean: whole(&mean),
        running_var: whole(&variance),
        residual: None,
    };
    let training_buffers = TrainingBuffers {
        x: whole(&x),
        y: whole(&y),
        gamma: Some(whole(&gamma)),
        beta: Some(whole(&beta)),
        running_mean: Some(whole(&mean)),
        running_var: Some(whole(&variance)),
        saved: whole(&saved),
        workspace: whole(&workspace),
        residual: None,
        new_running_mean: None,
        new_running_var: None,
        counters: None,
    };
    let backward_buffers = BackwardBuffers {
        x: whole(&x),
        dy: whole(&dy),
        saved: whole(&saved),
        gamma: Some(whole(&gamma)),
        dx: Some(whole(&dx)),
        dgamma: Some(whole(&dgamma)),
        dbeta: Some(whole(&dbeta)),
        workspace: whole(&workspace),
        residual: None,
        beta: None,
        dresidual: None,
    };
    let operations = [
        Prepared {
            name: "inference",
            plan: inference.plan(),
            encode: Box::new(|encoder| inference.encode(encoder, &inference_buffers)),
            prepare: Box::new(|| inference.prepare(&inference_buffers)),
        },
        Prepared {
            name: "training",
            plan: training.plan(),
            encode: Box::new(|encoder| training.encode(encoder, &training_buffers)),
            prepare: Box::new(|| training.prepare(&training_buffers)),
        },
        Prepared {
            name: "backward",
            plan: backward.plan(),
            encode: Box::new(|encoder| backward.encode(encoder, &backward_buffers)),
            prepare: Box::new(|| backward.prepare(&backward_buffers)),
        },
    ];

    let mut counts: [Counts; 3] = Default::default();
    for (operation, counts) in operations.iter().zip(&mut counts) {
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        counts.first = counted(|| (operation.encode)(&mut encoder))?.count_total;
        counts.prepare = counted(|| (operation.prepare)())?.count_total;
        queue.submit([encoder.finish()]);
    }
    // The first of these rounds warms up: what wgpu keeps for later is kept then.
    for round in 0..=rounds {
        for (operation, counts) in operations.iter().zip(&mut counts) {
            let (mut time, mut later) = (0.0, AllocationInfo::default());
            let all = counted(|| {
                let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
                let start = Instant::now();
                later = counted(|| (0..CALLS).try_for_each(|_| (operation.encode)(&mut encoder)))?;
                time = start.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS);
                queue.submit([encoder.finish()]);
                device.poll(wgpu::PollType::wait_indefinitely()).map(drop).map_err(Box::<dyn Error>::from)
            })?;
            if round > 0 {
                counts.times.push(time);
                counts.later.push(later);
                counts.kept.push(all.bytes_current as f64 / f64::from(CALLS));
            }
        }
    }

    print(&format!("{CALLS} calls a round, {rounds} rounds; shape {shape}\n"));
    let table = Table::begin([
        ("operation", -9),
        ("launches", 8),
        ("us", 6),
        ("spread", 6),
        ("min", 6),
        ("allocations", 11),
        ("first", 5),
        ("bytes", 6),
        ("kept", 5),
        ("prepared", 8),
    ]);
    let info = adapter.get_info();
    let (backend, driver) = (
        format!("{:?}", info.backend).to_lowercase(),
        [info.driver, info.driver_info].join(" ").trim().to_owned(),
    );
    let shape = shape.to_string();
    let mut rows = Vec::new();
    for (operation, counts) in operations.iter().zip(&counts) {
        let Quartiles { q1, median, q3, min } = Quartiles::of(&counts.times);
        let per_call = |count: &dyn Fn(&AllocationInfo) -> u64| {
            let each: Vec<f64> =
                counts.later.iter().map(|info| count(info) as f64 / f64::from(CALLS)).collect();
            Quartiles::of(&each).median
        };
        let (allocations, bytes) = (per_call(&|info| info.count_total), per_call(&|info| info.bytes_total));
        let kept = Quartiles::of(&counts.kept).median;
        table.row(vec![
            operation.name.into(),
            operation.plan.launches().len().to_string(),
            digits(median),
            format!("{:.0} %", (q3 - q1) / median * 100.0),
            digits(min),
            digits(allocations),
            counts.first.to_string(),
            digits(bytes),
            digits(kept),
            counts.prepare.to_string(),
        ]);
        rows.push(Row {
            system: "wgpu-batchnorm",
            device: &info.name,
            backend: &backend,
            driver: &driver,
            shape: &shape,
            operation: operation.name,
            plan: operation.plan.to_string(),
            launches: operation.plan.launches().len(),
            calls: CALLS,
            rounds,
            median_us: median,
            q1_us: q1,
            q3_us: q3,
            min_us: min,
            allocations_first: counts.first,
            allocations,
            allocated_bytes: bytes,
            kept_bytes: kept,
            prepare_allocations: counts.prepare,
        });
    }
    options.json.as_ref().map_or(Ok(()), |path| row::write(path, &rows))
}

/// What a piece of work allocates on this thread.
fn counted<E>(work: impl FnOnce() -> Result<(), E>) -> Result<AllocationInfo, E> {
    let mut result = Ok(());
    let info = measure(|| result = work());
    result.map(|()| info)
}
