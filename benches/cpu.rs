//! How fast the CPU path is, beside a copy of the same tensor by the same threads.
//!
//! `cargo bench --bench cpu` prints a table; `-- --quick` of the smaller shapes only, `-- --json FILE` writes it too.
//! `benches/peers/cpu_against_torch.py` compares it with PyTorch's. The calls of an operation and of the copy take turns;
//! each figure is the median of the rounds, with the range behind it. Buffers are used again, so that nothing waits for
//! the kernel to hand out pages; tensors above the size of the last-level cache come from memory.

use std::time::Instant;

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};
use serde::Serialize;
use wgpu_batchnorm::cpu::{self, BackwardSlices, Element, InferenceSlices, TrainingSlices};
use wgpu_batchnorm::{
    BackwardOptions, Dtype, Error, InferenceOptions, SavedStatistics, Shape, TrainingOptions,
};

/// Batch, channels and sizes of the feature maps of ResNet-50 and Inception, and one fully connected layer.
const SHAPES: [&str; 13] = [
    "32x64x112x112",
    "32x256x56x56",
    "32x512x28x28",
    "32x1024x14x14",
    "32x2048x7x7",
    "256x64x112x112",
    "256x256x56x56",
    "256x512x28x28",
    "256x1024x14x14",
    "256x2048x7x7",
    "32x192x28x28",
    "32x1024x7x7",
    "4096x1024",
];
const OPERATIONS: [(&str, f64); 3] = [("training", 3.0), ("inference", 2.0), ("backward", 5.0)];
const LAYOUTS: [&str; 2] = ["channels_first", "channels_last"];
const ROUNDS: usize = 9;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let (mut json, mut quick) = (None, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => json = Some(arguments.next().ok_or("--json needs a file")?),
            "--quick" => quick = true,
            "--bench" => {}
            other => {
                return Err(format!("{other} is unknown; there are --json FILE and --quick").into());
            }
        }
    }
    table(json, quick)
}

/// The shape, from dimensions with the channels second.
fn shape(dims: &str, layout: &str, dtype: &str) -> Result<Shape, Failure> {
    let mut dims = dims.split('x').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
    if dims.len() < 2 {
        return Err("a shape has a batch and channels".into());
    }
    let dtype = match dtype {
        "f32" => Dtype::F32,
        "f16" => Dtype::F16,
        other => return Err(format!("{other} is no storage type").into()),
    };
    let axis = match layout {
        "channels_first" => 1,
        "channels_last" => {
            dims[1..].rotate_left(1);
            dims.len() - 1
        }
        other => return Err(format!("{other} is no layout").into()),
    };
    Ok(Shape::new(&dims, axis, dtype)?)
}

/// The tensors and parameters of a layer.
struct Layer<E> {
    shape: Shape,
    tensors: [Vec<E>; 4],
    parameters: [Vec<f32>; 6],
    saved: Vec<SavedStatistics>,
}

impl<E: Element + From<half::f16>> Layer<E> {
    fn new(shape: Shape) -> Self {
        let (len, channels) = (shape.len() as usize, shape.channels() as usize);
        // Spread evenly between -1 and 1 by a multiplier prime to 2^11, and exact in f16.
        let value = |i: usize, seed: usize| {
            let step = (i.wrapping_mul(2_654_435_761) >> 7).wrapping_add(i >> 11).wrapping_add(seed) % 2048;
            E::from(half::f16::from_f32(step as f32 / 1024.0 - 1.0))
        };
        let tensor = |seed| (0..len).map(|i| value(i, seed)).collect();
        let tensors = [tensor(0), tensor(77), tensor(1), tensor(2)];
        let parameters = [1.0, 0.5, 0.0, 1.0, 0.0, 0.0].map(|value| vec![value; channels]);
        let one = SavedStatistics { pivot: 0.0, difference: 0.0, variance: 1.0, invstd: 1.0 };
        Self { shape, tensors, parameters, saved: vec![one; channels] }
    }

    fn run(&mut self, operation: &str) -> Result<(), Error> {
        let Self { shape, tensors: [x, dy, y, dx], parameters, saved } = self;
        let [gamma, beta, running_mean, running_var, dgamma, dbeta] = parameters;
        match operation {
            "training" => cpu::training(
                shape,
                &TrainingOptions::default(),
                TrainingSlices {
                    x,
                    y,
                    gamma: Some(gamma),
                    beta: Some(beta),
                    running_mean: Some(running_mean),
                    running_var: Some(running_var),
                    saved,
                },
            ),
            "inference" => cpu::inference(
                shape,
                &InferenceOptions::default(),
                InferenceSlices { x, y, gamma: Some(gamma), beta: Some(beta), running_mean, running_var },
            ),
            "backward" => cpu::backward(
                shape,
                &BackwardOptions::default(),
                BackwardSlices {
                    x,
                    dy,
                    saved,
                    gamma: Some(gamma),
                    dx: Some(dx),
                    dgamma: Some(dgamma),
                    dbeta: Some(dbeta),
                },
            ),
            _ => {
                let part = 1 << 16;
                x.par_chunks(part).zip(y.par_chunks_mut(part)).for_each(|(x, y)| y.copy_from_slice(x));
                Ok(())
            }
        }
    }
}

/// A layer of either storage type.
enum Any {
    F32(Layer<f32>),
    F16(Layer<half::f16>),
}

impl Any {
    fn new(shape: Shape) -> Self {
        match shape.dtype() {
            Dtype::F32 => Self::F32(Layer::new(shape)),
            Dtype::F16 => Self::F16(Layer::new(shape)),
        }
    }

    /// Milliseconds of each call, after one that is not counted.
    fn time(&mut self, operation: &str, calls: usize) -> Result<Vec<f64>, Error> {
        let mut times = Vec::with_capacity(calls + 1);
        for _ in 0..=calls {
            let start = Instant::now();
            match self {
                Self::F32(layer) => layer.run(operation)?,
                Self::F16(layer) => layer.run(operation)?,
            }
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        Ok(times.split_off(1))
    }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[derive(Serialize)]
struct Row {
    shape: &'static str,
    operation: &'static str,
    dtype: &'static str,
    layout: &'static str,
    ms: f64,
    fastest_ms: f64,
    slowest_ms: f64,
    /// By the passes of an operation that keeps nothing in a cache: 3, 2 and 5 times the tensor.
    gb_per_s: f64,
    copy_ms: f64,
    of_copy: f64,
}

fn table(json: Option<String>, quick: bool) -> Result<(), Failure> {
    println!("{} threads, medians of {ROUNDS} rounds", rayon::current_num_threads());
    println!(
        "{:<15} {:<14} {:<5} {:<10} {:>9} {:>19} {:>7} {:>7}",
        "shape", "layout", "dtype", "operation", "ms", "range", "GB/s", "x copy"
    );
    let mut rows = Vec::new();
    for dims in SHAPES.into_iter().filter(|dims| !quick || dims.starts_with("32x")) {
        for dtype in ["f32", "f16"] {
            for layout in LAYOUTS {
                let shape = shape(dims, layout, dtype)?;
                let mut layer = Any::new(shape);
                let mut times = [const { Vec::new() }; 4];
                for _ in 0..ROUNDS {
                    for (operation, times) in
                        ["copy", "training", "inference", "backward"].into_iter().zip(&mut times)
                    {
                        times.push(median(&mut layer.time(operation, 3)?));
                    }
                }
                let [copy, operations @ ..] = &mut times;
                let copy_ms = median(copy);
                for ((operation, passes), times) in OPERATIONS.into_iter().zip(operations) {
                    let ms = median(times);
                    let gb_per_s = passes * shape.size_in_bytes() as f64 / ms / 1e6;
                    let (fastest_ms, slowest_ms) = (times[0], times[times.len() - 1]);
                    let range = format!("{fastest_ms:.3} .. {slowest_ms:.3}");
                    let of_copy = ms / copy_ms;
                    println!(
                        "{dims:<15} {layout:<14} {dtype:<5} {operation:<10} {ms:>9.3} {range:>19} \
                         {gb_per_s:>7.1} {of_copy:>7.2}"
                    );
                    rows.push(Row {
                        shape: dims,
                        operation,
                        dtype,
                        layout,
                        ms,
                        fastest_ms,
                        slowest_ms,
                        gb_per_s,
                        copy_ms,
                        of_copy,
                    });
                }
            }
        }
    }
    if let Some(file) = json {
        std::fs::write(file, serde_json::to_string_pretty(&rows)?)?;
    }
    Ok(())
}
