//! A layer with a residual and a ReLU in one, against the layer and a launch of its own for the rest: training and
//! backward, the passes over memory that each makes, and the times.
//!
//! `cargo bench --bench tail -- --help`

#[path = "../examples/support/adapter.rs"]
mod adapter;
#[path = "support/cell.rs"]
#[expect(dead_code, reason = "training and backward alone are measured here")]
mod cell;
#[path = "support/contest.rs"]
mod contest;
#[path = "support/gpu.rs"]
mod gpu;
#[path = "../examples/support/guard.rs"]
mod guard;
#[path = "support/options.rs"]
mod options;
#[path = "support/pointwise.rs"]
mod pointwise;
#[path = "support/row.rs"]
#[expect(dead_code, reason = "there is no copy to compare with")]
mod row;
#[path = "support/statistics.rs"]
mod statistics;
#[path = "support/stopwatch.rs"]
mod stopwatch;
#[path = "support/table.rs"]
mod table;

use std::error::Error;
use std::process::ExitCode;

use wgpu_batchnorm::{
    Activation, Backward, BackwardBuffers, Dtype, Gradients, Layer, Residual, SavedStatistics, Shape,
    Training, TrainingBuffers, wgpu,
};

use cell::{Cache, Dims, Operation, Scale};
use contest::{Effort, contest};
use gpu::Gpu;
use guard::guarded;
use options::Options;
use pointwise::Pointwise;
use row::Row;
use statistics::geometric_mean;
use stopwatch::{Stopwatch, Timed, Times, begin_pass};
use table::{Table, digits, print, say};

const WHAT: &str = "tail [OPTION...]

Times training and backward of a layer that ends with a residual and a ReLU: fused, and as a plain layer with a launch of its
own for the sum and the ReLU (backward: for the ReLU). Both give the gradient by the residual. In turns; channels first.

  passes     how often memory of the size of the tensor is read or written: fused / apart
  predicted  the ratio of the passes
  us         median time on the device: fused / apart
  ratio      of these times: above 1, fused is faster
";

/// Tensors that take part.
#[derive(Clone, Copy, PartialEq)]
enum Name {
    X,
    Residual,
    Y,
    Dy,
    Dx,
    Dresidual,
    /// y before the rest, where that is apart.
    Middle,
}

const NAMES: usize = 7;

struct Tensors {
    sets: Vec<[wgpu::Buffer; NAMES]>,
    gamma: wgpu::Buffer,
    beta: wgpu::Buffer,
    running: [wgpu::Buffer; 2],
    gradients: [wgpu::Buffer; 2],
    saved: wgpu::Buffer,
    workspace: wgpu::Buffer,
}

impl Tensors {
    fn new(gpu: &Gpu, shape: &Shape, sets: usize, workspace: u64) -> Self {
        let channels = shape.channels() as usize;
        let per_channel = |value: f32| {
            let buffer = gpu.buffer(4 * channels as u64);
            gpu.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&vec![value; channels]));
            buffer
        };
        let saved = gpu.buffer(SavedStatistics::SIZE * channels as u64);
        let of_channel = SavedStatistics { pivot: 0.0, difference: 0.0, variance: 1.0, invstd: 1.0 };
        gpu.queue.write_buffer(&saved, 0, bytemuck::cast_slice(&vec![of_channel; channels]));
        let mut state = 0x9e37_79b9u32;
        let mut word = || {
            state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            let value = (f32::from((state >> 16) as u16) / 32768.0 - 1.0) * 1.7;
            match shape.dtype() {
                Dtype::F32 => value.to_bits(),
                Dtype::F16 => u32::from(half::f16::from_f32(value).to_bits()) * 0x1_0001,
            }
        };
        let bytes = shape.size_in_bytes().next_multiple_of(16);
        let inputs = [Name::X, Name::Residual, Name::Dy];
        let mut set = || {
            [Name::X, Name::Residual, Name::Y, Name::Dy, Name::Dx, Name::Dresidual, Name::Middle].map(
                |name| {
                    let buffer = gpu.buffer(bytes);
                    if inputs.contains(&name) {
                        let words: Vec<u32> = (0..bytes / 4).map(|_| word()).collect();
                        gpu.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&words));
                    }
                    buffer
                },
            )
        };
        Self {
            sets: (0..sets).map(|_| set()).collect(),
            gamma: per_channel(1.25),
            beta: per_channel(0.5),
            running: [per_channel(0.0), per_channel(1.0)],
            gradients: [per_channel(0.0), per_channel(0.0)],
            saved,
            workspace: gpu.buffer(workspace.max(4)),
        }
    }

    fn binding(&self, set: usize, name: Name) -> wgpu::BufferBinding<'_> {
        self.sets[set][name as usize].as_entire_buffer_binding()
    }
}

enum Compiled {
    Training(Training),
    Backward(Backward),
}

/// One way to do one operation.
struct Way<'a> {
    gpu: &'a Gpu,
    compiled: Compiled,
    /// With a launch of its own for the rest.
    apart: Option<Pointwise>,
    tensors: &'a Tensors,
}

impl Way<'_> {
    /// With those of the launch apart: it reads two tensors and writes one.
    fn passes(&self) -> u32 {
        let own = if self.apart.is_some() { 3 } else { 0 };
        own + match &self.compiled {
            Compiled::Training(layer) => layer.plan().passes(),
            Compiled::Backward(layer) => layer.plan().passes(),
        }
    }

    fn plan(&self) -> String {
        match &self.compiled {
            Compiled::Training(layer) => layer.plan().to_string(),
            Compiled::Backward(layer) => layer.plan().to_string(),
        }
    }
}

impl Timed for Way<'_> {
    fn record(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        set: usize,
        times: Option<Times<'_>>,
    ) -> Result<(), Box<dyn Error>> {
        let (tensors, fused) = (self.tensors, self.apart.is_none());
        let whole = wgpu::Buffer::as_entire_buffer_binding;
        let of = |name| tensors.binding(set, name);
        let mut pass = begin_pass(encoder, times);
        match &self.compiled {
            Compiled::Training(layer) => {
                layer.record(
                    &mut pass,
                    &TrainingBuffers {
                        x: of(Name::X),
                        y: of(if fused { Name::Y } else { Name::Middle }),
                        gamma: Some(whole(&tensors.gamma)),
                        beta: Some(whole(&tensors.beta)),
                        residual: fused.then(|| of(Name::Residual)),
                        running_mean: Some(whole(&tensors.running[0])),
                        running_var: Some(whole(&tensors.running[1])),
                        new_running_mean: None,
                        new_running_var: None,
                        counters: None,
                        saved: whole(&tensors.saved),
                        workspace: whole(&tensors.workspace),
                    },
                )?;
                if let Some(apart) = &self.apart {
                    apart.record(self.gpu, &mut pass, [Name::Middle, Name::Residual, Name::Y].map(of));
                }
            }
            Compiled::Backward(layer) => {
                if let Some(apart) = &self.apart {
                    apart.record(self.gpu, &mut pass, [Name::Y, Name::Dy, Name::Dresidual].map(of));
                }
                layer.record(
                    &mut pass,
                    &BackwardBuffers {
                        x: of(Name::X),
                        dy: of(if fused { Name::Dy } else { Name::Dresidual }),
                        saved: whole(&tensors.saved),
                        residual: fused.then(|| of(Name::Residual)),
                        gamma: Some(whole(&tensors.gamma)),
                        beta: fused.then(|| whole(&tensors.beta)),
                        dx: Some(of(Name::Dx)),
                        dresidual: fused.then(|| of(Name::Dresidual)),
                        dgamma: Some(whole(&tensors.gradients[0])),
                        dbeta: Some(whole(&tensors.gradients[1])),
                        workspace: whole(&tensors.workspace),
                    },
                )?;
            }
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    let outcome = Options::parse(WHAT).and_then(|(choice, options)| {
        let adapter = options::adapter(&choice)?;
        let measured = || {
            let gpu = Gpu::open(&adapter, &options)?;
            guarded(&gpu.device, || measure(&gpu, &options))
        };
        measured().map_err(|error: Box<dyn Error>| options::failed(&error))
    });
    outcome.err().unwrap_or(ExitCode::SUCCESS)
}

fn measure(gpu: &Gpu, options: &Options) -> Result<(), Box<dyn Error>> {
    let stopwatch = Stopwatch::new(gpu);
    print(&format!("time:    {}\n", stopwatch.method()));
    let table = Table::begin([
        ("shape", -15),
        ("dtype", -5),
        ("operation", -9),
        ("cache", -5),
        ("passes", 7),
        ("predicted", 9),
        ("us", 19),
        ("ratio", 6),
    ]);
    let scale = options.scale.unwrap_or(if gpu.software { Scale::Small } else { Scale::Full });
    let wanted =
        |dims: &Dims| options.shape.as_ref().is_none_or(|part| dims.to_string().contains(part.as_str()));
    let (mut rows, mut ratios): (Vec<Row>, Vec<(Operation, f64, f64)>) = (Vec::new(), Vec::new());
    for dims in scale.shapes().filter(wanted) {
        for dtype in Dtype::ALL.into_iter().filter(|dtype| options.dtype.is_none_or(|d| d == *dtype)) {
            if options.late() {
                print(&format!("not measured: {dims} {dtype}: out of time"));
                continue;
            }
            say(&format!("{dims} {dtype}"));
            for (operation, cache, lines) in cells(gpu, options, &stopwatch, &dims, dtype)? {
                let [fused, apart] = &lines;
                let passes = [fused, apart].map(|row| row.passes.unwrap_or_default());
                let predicted = f64::from(passes[1]) / f64::from(passes[0]);
                let ratio = apart.median_us / fused.median_us;
                ratios.push((operation, predicted, ratio));
                say("");
                table.row(vec![
                    dims.to_string(),
                    dtype.to_string(),
                    operation.to_string(),
                    cache.to_string(),
                    format!("{} / {}", passes[0], passes[1]),
                    format!("{predicted:.2}"),
                    format!("{} / {}", digits(fused.median_us), digits(apart.median_us)),
                    format!("{ratio:.2}"),
                ]);
                rows.extend(lines);
            }
            if let Some(path) = &options.json {
                row::write(path, &rows)?;
            }
        }
    }
    for operation in [Operation::Training, Operation::Backward] {
        let found: Vec<_> = ratios.iter().filter(|(of, ..)| *of == operation).collect();
        if !found.is_empty() {
            let predicted = geometric_mean(found.iter().map(|(_, predicted, _)| *predicted));
            let measured = geometric_mean(found.iter().map(|(.., ratio)| *ratio));
            let worst = found.iter().map(|(.., ratio)| *ratio).fold(f64::INFINITY, f64::min);
            let cells = found.len();
            print(&format!(
                "{operation}: {cells} cells, geometric mean predicted {predicted:.2}, measured {measured:.2}, worst {worst:.2}"
            ));
        }
    }
    Ok(())
}

fn dynamic<'a>(way: &'a Way<'_>) -> &'a dyn Timed {
    way
}

/// The rows of one shape, fused and apart, by operation and state of the cache.
type Cells = Vec<(Operation, Cache, [Row; 2])>;

fn cells(
    gpu: &Gpu,
    options: &Options,
    stopwatch: &Stopwatch<'_>,
    dims: &Dims,
    dtype: Dtype,
) -> Result<Cells, Box<dyn Error>> {
    let shape = dims.shape(cell::Layout::ChannelsFirst, dtype)?;
    let plain = Layer::default();
    let whole = Layer { activation: Activation::Relu, residual: Residual::Added, ..plain };
    let gradients = Gradients { dresidual: true, ..Gradients::default() };
    let training = |layer: Layer| Training::new(&gpu.context, &shape, layer.training());
    let backward = |layer: Layer, gradients| Backward::new(&gpu.context, &shape, layer.backward(gradients));
    let forward = [training(whole)?, training(plain)?];
    let back = [backward(whole, gradients)?, backward(plain, Gradients::default())?];
    let sizes = forward.iter().map(Training::workspace_size).chain(back.iter().map(Backward::workspace_size));
    // Four tensors are touched by all.
    let sets = options.cache_bytes().div_ceil(4 * shape.size_in_bytes()).max(3) as usize;
    let tensors = &Tensors::new(gpu, &shape, sets, sizes.max().unwrap_or(0));
    let apart = |operation| Some(Pointwise::new(gpu, operation, &shape));
    let way = |compiled, apart| Way { gpu, compiled, apart, tensors };
    let [fused, plain] = forward.map(Compiled::Training);
    let forward = [way(fused, None), way(plain, apart(Operation::Training))];
    let [fused, plain] = back.map(Compiled::Backward);
    let back = [way(fused, None), way(plain, apart(Operation::Backward))];
    let mut cells = Vec::new();
    for cache in Cache::ALL.into_iter().filter(|cache| options.cache.is_none_or(|c| c == *cache)) {
        let all: Vec<&dyn Timed> = forward.iter().chain(&back).map(dynamic).collect();
        let samples = contest(gpu, stopwatch, &all, cache, sets, Effort::new(gpu, options))?;
        for (operation, ways, samples) in
            [(Operation::Training, &forward, &samples[..2]), (Operation::Backward, &back, &samples[2..])]
        {
            if options.operation.is_some_and(|wanted| wanted != operation) {
                continue;
            }
            let row = |index: usize| {
                let (way, passes) = (&ways[index], ways[index].passes());
                Row {
                    shape: dims.to_string(),
                    operation: operation.to_string(),
                    dtype: dtype.to_string(),
                    layout: cell::Layout::ChannelsFirst.to_string(),
                    variant: ["fused", "apart"][index].into(),
                    plan: way.plan(),
                    cache: cache.to_string(),
                    passes: Some(passes),
                    bytes: u64::from(passes) * shape.size_in_bytes(),
                    ..gpu.row()
                }
                .timed(&samples[index])
            };
            cells.push((operation, cache, [row(0), row(1)]));
        }
    }
    Ok(cells)
}
