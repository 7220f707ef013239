//! The main job: batch normalization on the layers of BN-Inception and ResNet-50, each result checked against the
//! f64 reference, each operation timed beside a plain copy.
//!
//! `cargo run --release --example demo -- --help`

#[path = "../support/adapter.rs"]
mod adapter;
#[path = "../support/bounds.rs"]
mod bounds;
mod check;
mod copy;
mod data;
mod device;
#[path = "../support/guard.rs"]
mod guard;
mod layers;
mod operation;
mod stopwatch;
#[path = "../support/storage.rs"]
mod storage;
mod table;

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use lexopt::ValueExt;
use wgpu_batchnorm::{Context, wgpu};

use check::Verdict;
use copy::Copy;
use data::Data;
use device::{Device, Results};
use layers::{LAYERS, Layer};
use operation::Operation;
use stopwatch::Stopwatch;
use table::{Progress, Table, print};

/// Batch where `--batch` does not say otherwise.
const BATCH: usize = 32;
const SOFTWARE_BATCH: usize = 4;

fn help() -> String {
    format!(
        "demo [OPTION...]

Runs training, inference and backward of batch normalization on layers of BN-Inception and ResNet-50, in both layouts
and both storage types, checks every result against the f64 reference on the CPU, and prints one table:

  worst result  of all results of the operation the one that comes nearest to its bound, with its error and that bound
  GPU ms        median of several runs
  GB/s          bytes of tensor that the operation has to move, by that time
  x copy        that time by the time of a plain copy of the tensor on the same device
  CPU/GPU       time of the f64 reference on 1 thread by that time

  --batch N            images in a batch: {BATCH} by default, {SOFTWARE_BATCH} on a software adapter
{}

Exit code: 0 if every error is within its bound, 1 if not, 2 for wrong arguments or no adapter.",
        adapter::HELP
    )
}

fn main() -> ExitCode {
    let mut batch = None;
    let own = |option: &str, parser: &mut lexopt::Parser| {
        if option != "batch" {
            return Ok(false);
        }
        let text = parser.value()?.string()?;
        match text.parse() {
            Ok(images) if images >= 2 => batch = Some(images),
            _ => return Err(format!("--batch: is {text:?}, needs to be a whole number of at least 2").into()),
        }
        Ok(true)
    };
    let choice = match adapter::Choice::parse(own, |_| false) {
        Ok(choice) => choice,
        Err(error) => return adapter::misused(&help(), &error),
    };
    if let Some(code) = choice.answer(&help()) {
        return code;
    }
    let adapter = match choice.adapter() {
        Ok(adapter) => adapter,
        Err(code) => return code,
    };
    match run(&adapter, batch) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => adapter::unusable(&error),
    }
}

/// Whether every error is within its bound.
fn run(adapter: &wgpu::Adapter, batch: Option<usize>) -> Result<bool, Box<dyn Error>> {
    let start = Instant::now();
    let software = adapter.get_info().device_type == wgpu::DeviceType::Cpu;
    let batch = batch.unwrap_or(if software { SOFTWARE_BATCH } else { BATCH });
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        required_features: adapter.features() & stopwatch::FEATURES,
        required_limits: adapter.limits(),
        ..Default::default()
    }))?;
    let device = Device {
        device: &device,
        queue: &queue,
        context: Context::new(&device),
        copy: Copy::new(&device),
        stopwatch: Stopwatch::new(&device, &queue, if software { 5 } else { 21 }),
    };
    print(&format!("time:    {}", device.stopwatch.method()));
    print("CPU:     the f64 reference, 1 thread\n");

    let progress = Progress::new();
    let mut table = Table::head();
    for (index, &layer) in LAYERS.iter().enumerate() {
        let fitting = layers::fitting_batch(layer, batch, &device.device.limits());
        if fitting < 2 {
            let (channels, extent) = layer;
            print(&format!(
                "{channels}x{extent}x{extent}: not even a batch of 2 fits one buffer of this device"
            ));
            continue;
        }
        if fitting < batch {
            print(&format!(
                "batch {fitting} instead of {batch}: more does not fit one buffer of this device"
            ));
        }
        let variants = layers::variants(layer, fitting)?;
        let say = |what| progress.say(&format!("[{index}/{}] {}: {what}", LAYERS.len(), variants[0].name()));

        // On a software adapter all of this runs on the same cores, so one after the other.
        say("making data");
        let data = in_parallel(&variants, |index, layer| Data::new(&layer.shape, index as u64));
        say("on the GPU");
        let results: Vec<Results> = (variants.iter().zip(&data))
            .map(|(layer, data)| guard::guarded(device.device, || device.run(&layer.shape, data)))
            .collect::<Result<_, _>>()?;
        say("reference on the CPU");
        let verdicts =
            in_parallel(&variants, |index, layer| check::check(&layer.shape, &data[index], &results[index]));
        let verdicts: Vec<[Verdict; 3]> = verdicts.into_iter().collect::<Result<_, _>>()?;

        progress.clear();
        for ((layer, results), verdicts) in variants.iter().zip(&results).zip(&verdicts) {
            for ((operation, verdict), timing) in Operation::ALL.iter().zip(verdicts).zip(&results.timings) {
                table.row(layer, *operation, verdict, timing);
            }
        }
    }
    Ok(table.end(start.elapsed().as_secs_f64()))
}

/// Does the same for each variant of a layer, each on a thread of its own.
fn in_parallel<T: Send>(layers: &[Layer], work: impl Fn(usize, &Layer) -> T + Sync) -> Vec<T> {
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            layers.iter().enumerate().map(|(i, layer)| scope.spawn(move || work(i, layer))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, T>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect()
    })
}
