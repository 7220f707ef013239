//! Runs an operation on given values and hands its results back as f64.

use wgpu_batchnorm::reference::{self, Statistics};
use wgpu_batchnorm::{
    Affine, Backward, BackwardBuffers, BackwardOptions, Gradients, Inference, InferenceBuffers,
    InferenceOptions, SavedStatistics, Shape, Training, TrainingBuffers, TrainingOptions, wgpu,
};

use super::arena::{Arena, Layout, Slot};
use super::data::{self, Random};
use super::gpu::Gpu;

/// The inputs of an operation, already as their storage holds them.
#[derive(Clone, Debug)]
pub struct Case {
    pub shape: Shape,
    pub x: Vec<f64>,
    pub dy: Vec<f64>,
    pub gamma: Vec<f64>,
    pub beta: Vec<f64>,
    pub running: Statistics,
}

impl Case {
    /// Normally distributed everywhere, with each channel's x about `offset`.
    pub fn random(shape: Shape, seed: u64, offset: f64) -> Self {
        let mut random = Random::new(seed);
        let channels = shape.channels() as usize;
        let mut parameters = |mean, std| round(&random.normals(channels, mean, std));
        let (gamma, beta) = (parameters(1.0, 0.5), parameters(0.0, 1.0));
        let mean = parameters(0.0, 1.0);
        let variance = parameters(1.0, 0.2).iter().map(|v: &f64| v.abs() + 0.01).collect::<Vec<_>>();
        let len = shape.len() as usize;
        let x = random.normals(len, offset, 1.0);
        let dy = random.normals(len, 0.0, 1.0);
        Self::new(shape, &x, &dy, gamma, beta, Statistics { mean, variance: round(&variance) })
    }

    pub fn new(
        shape: Shape,
        x: &[f64],
        dy: &[f64],
        gamma: Vec<f64>,
        beta: Vec<f64>,
        running: Statistics,
    ) -> Self {
        let (x, dy) = (reference::stored(shape.dtype(), x), reference::stored(shape.dtype(), dy));
        Self { shape, x, dy, gamma, beta, running }
    }

    pub fn gamma(&self, affine: Affine) -> Option<&[f64]> {
        affine.has_gamma().then_some(self.gamma.as_slice())
    }

    pub fn beta(&self, affine: Affine) -> Option<&[f64]> {
        affine.has_beta().then_some(self.beta.as_slice())
    }
}

/// As parameters are stored.
pub fn round(values: &[f64]) -> Vec<f64> {
    reference::stored(wgpu_batchnorm::Dtype::F32, values)
}

fn parameter(arena: &mut Arena<'_>, values: &[f64]) -> Slot {
    arena.input(&data::encode(wgpu_batchnorm::Dtype::F32, values))
}

/// A tensor as input or output, with a word to spare where the tensor is empty: a binding cannot be.
fn tensor(arena: &mut Arena<'_>, shape: &Shape, values: Option<&[f64]>) -> Slot {
    match values {
        Some(values) if !values.is_empty() => arena.input(&data::encode(shape.dtype(), values)),
        _ => arena.output(shape.size_in_bytes().max(4)),
    }
}

/// Turns ranges into the bindings of an operation, and submits what is recorded with them.
pub struct Ranges(Vec<(wgpu::Buffer, u64, u64)>);

impl Ranges {
    pub fn new(arena: &Arena<'_>, slots: &[Slot]) -> Self {
        Self(slots.iter().map(|&slot| arena.range(slot)).collect())
    }

    pub fn binding(&self, index: usize) -> wgpu::BufferBinding<'_> {
        let (buffer, offset, size) = &self.0[index];
        wgpu::BufferBinding { buffer, offset: *offset, size: wgpu::BufferSize::new(*size) }
    }
}

/// Records with `record` and submits.
pub fn submit(gpu: &Gpu, record: impl FnOnce(&mut wgpu::CommandEncoder)) {
    let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    record(&mut encoder);
    gpu.queue.submit([encoder.finish()]);
}

/// Results of a training forward pass.
#[derive(Clone, Debug)]
pub struct Trained {
    pub y: Vec<f64>,
    pub saved: Vec<SavedStatistics>,
    pub running: Statistics,
    /// All bits of the results, for tests of determinism.
    pub bits: Vec<u32>,
}

pub fn training(
    gpu: &Gpu,
    layer: &Training,
    case: &Case,
    options: &TrainingOptions,
    layout: Layout,
) -> Trained {
    let channels = u64::from(case.shape.channels());
    let mut arena = Arena::new(gpu, layout);
    let x = tensor(&mut arena, &case.shape, Some(&case.x));
    let y = tensor(&mut arena, &case.shape, None);
    let gamma = parameter(&mut arena, &case.gamma);
    let beta = parameter(&mut arena, &case.beta);
    let running_mean = parameter(&mut arena, &case.running.mean);
    let running_var = parameter(&mut arena, &case.running.variance);
    let saved = arena.output(channels * SavedStatistics::SIZE);
    let workspace = arena.output(layer.workspace_size());
    let ranges = Ranges::new(&arena, &[x, y, gamma, beta, running_mean, running_var, saved, workspace]);
    let tracked = options.running.is_some();
    submit(gpu, |encoder| {
        let buffers = TrainingBuffers {
            x: ranges.binding(0),
            y: ranges.binding(1),
            gamma: options.affine.has_gamma().then(|| ranges.binding(2)),
            beta: options.affine.has_beta().then(|| ranges.binding(3)),
            running_mean: tracked.then(|| ranges.binding(4)),
            running_var: tracked.then(|| ranges.binding(5)),
            saved: ranges.binding(6),
            workspace: ranges.binding(7),
        };
        layer.encode(encoder, &buffers).expect("encode training");
    });
    let mut written = vec![y, saved, workspace];
    if tracked {
        written.extend([running_mean, running_var]);
    }
    let memory = arena.read(&written);
    let bits = [y, saved, running_mean, running_var].into_iter().flat_map(|slot| memory.words(slot).to_vec());
    Trained {
        y: data::decode(&case.shape, memory.words(y)),
        saved: memory.records(saved),
        running: Statistics { mean: memory.f32(running_mean), variance: memory.f32(running_var) },
        bits: bits.collect(),
    }
}

pub fn inference(gpu: &Gpu, case: &Case, options: InferenceOptions, layout: Layout) -> Vec<f64> {
    let layer = Inference::new(&gpu.context, &case.shape, options).expect("inference");
    let mut arena = Arena::new(gpu, layout);
    let x = tensor(&mut arena, &case.shape, Some(&case.x));
    let y = tensor(&mut arena, &case.shape, None);
    let gamma = parameter(&mut arena, &case.gamma);
    let beta = parameter(&mut arena, &case.beta);
    let running_mean = parameter(&mut arena, &case.running.mean);
    let running_var = parameter(&mut arena, &case.running.variance);
    let ranges = Ranges::new(&arena, &[x, y, gamma, beta, running_mean, running_var]);
    submit(gpu, |encoder| {
        let buffers = InferenceBuffers {
            x: ranges.binding(0),
            y: ranges.binding(1),
            gamma: options.affine.has_gamma().then(|| ranges.binding(2)),
            beta: options.affine.has_beta().then(|| ranges.binding(3)),
            running_mean: ranges.binding(4),
            running_var: ranges.binding(5),
        };
        layer.encode(encoder, &buffers).expect("encode inference");
    });
    data::decode(&case.shape, arena.read(&[y]).words(y))
}

/// Results of a backward pass; what was not asked for is as it was, NaN.
#[derive(Clone, Debug)]
pub struct Differentiated {
    pub dx: Vec<f64>,
    pub dgamma: Vec<f64>,
    pub dbeta: Vec<f64>,
    /// All bits of the results, for tests of determinism.
    pub bits: Vec<u32>,
}

pub fn backward(
    gpu: &Gpu,
    layer: &Backward,
    case: &Case,
    saved: &[SavedStatistics],
    options: &BackwardOptions,
    layout: Layout,
) -> Differentiated {
    let channels = u64::from(case.shape.channels());
    let Gradients { dx: wants_dx, dgamma: wants_dgamma, dbeta: wants_dbeta } = options.gradients;
    let mut arena = Arena::new(gpu, layout);
    let x = tensor(&mut arena, &case.shape, Some(&case.x));
    let dy = tensor(&mut arena, &case.shape, Some(&case.dy));
    let saved = arena.input(bytemuck::cast_slice(saved));
    let gamma = parameter(&mut arena, &case.gamma);
    let dx = tensor(&mut arena, &case.shape, None);
    let dgamma = arena.output(channels * 4);
    let dbeta = arena.output(channels * 4);
    let workspace = arena.output(layer.workspace_size());
    let ranges = Ranges::new(&arena, &[x, dy, saved, gamma, dx, dgamma, dbeta, workspace]);
    submit(gpu, |encoder| {
        let buffers = BackwardBuffers {
            x: ranges.binding(0),
            dy: ranges.binding(1),
            saved: ranges.binding(2),
            gamma: (wants_dx && options.affine.has_gamma()).then(|| ranges.binding(3)),
            dx: wants_dx.then(|| ranges.binding(4)),
            dgamma: wants_dgamma.then(|| ranges.binding(5)),
            dbeta: wants_dbeta.then(|| ranges.binding(6)),
            workspace: ranges.binding(7),
        };
        layer.encode(encoder, &buffers).expect("encode backward");
    });
    let mut written = vec![workspace];
    written.extend(wants_dx.then_some(dx));
    written.extend(wants_dgamma.then_some(dgamma));
    written.extend(wants_dbeta.then_some(dbeta));
    let memory = arena.read(&written);
    let bits = [dx, dgamma, dbeta].into_iter().flat_map(|slot| memory.words(slot).to_vec());
    Differentiated {
        dx: data::decode(&case.shape, memory.words(dx)),
        dgamma: memory.f32(dgamma),
        dbeta: memory.f32(dbeta),
        bits: bits.collect(),
    }
}
