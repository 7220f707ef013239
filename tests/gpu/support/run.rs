//! Runs an operation on given values and hands its results back as f64.

use wgpu_batchnorm::reference::Statistics;
use wgpu_batchnorm::{
    Backward, BackwardBuffers, BackwardOptions, Caps, Error, Inference, InferenceBuffers, InferenceOptions,
    Plan, SavedStatistics, Shape, Strategy, Training, TrainingBuffers, TrainingOptions, wgpu,
};

use super::arena::{Arena, Layout, Memory, Slot};
pub use super::case::{Case, round};
use super::check;
use super::data;
use super::gpu::Gpu;

/// One f32 per channel as input.
pub fn parameter(arena: &mut Arena<'_>, values: &[f64]) -> Slot {
    arena.input(&data::encode(wgpu_batchnorm::Dtype::F32, values))
}

/// A tensor as input or output, with a word to spare where the tensor is empty: a binding cannot be.
pub fn tensor(arena: &mut Arena<'_>, shape: &Shape, values: Option<&[f64]>) -> Slot {
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

/// The memory of a training forward pass.
#[derive(Clone, Copy)]
pub struct TrainingSlots {
    pub x: Slot,
    pub y: Slot,
    pub gamma: Slot,
    pub beta: Slot,
    pub running_mean: Slot,
    pub running_var: Slot,
    pub saved: Slot,
    pub workspace: Slot,
}

impl TrainingSlots {
    pub fn place(arena: &mut Arena<'_>, case: &Case, workspace: u64) -> Self {
        Self {
            x: tensor(arena, &case.shape, Some(&case.x)),
            y: tensor(arena, &case.shape, None),
            gamma: parameter(arena, &case.gamma),
            beta: parameter(arena, &case.beta),
            running_mean: parameter(arena, &case.running.mean),
            running_var: parameter(arena, &case.running.variance),
            saved: arena.output(u64::from(case.shape.channels()) * SavedStatistics::SIZE),
            workspace: arena.output(workspace),
        }
    }

    pub fn ranges(&self, arena: &Arena<'_>) -> Ranges {
        let Self { x, y, gamma, beta, running_mean, running_var, saved, workspace } = *self;
        Ranges::new(arena, &[x, y, gamma, beta, running_mean, running_var, saved, workspace])
    }

    pub fn buffers<'a>(ranges: &'a Ranges, options: &TrainingOptions) -> TrainingBuffers<'a> {
        let tracked = options.running.is_some();
        TrainingBuffers {
            x: ranges.binding(0),
            y: ranges.binding(1),
            gamma: options.affine.has_gamma().then(|| ranges.binding(2)),
            beta: options.affine.has_beta().then(|| ranges.binding(3)),
            running_mean: tracked.then(|| ranges.binding(4)),
            running_var: tracked.then(|| ranges.binding(5)),
            saved: ranges.binding(6),
            workspace: ranges.binding(7),
            residual: None,
            new_running_mean: None,
            new_running_var: None,
            counters: None,
        }
    }

    /// What the operation may write.
    pub fn written(&self, options: &TrainingOptions) -> Vec<Slot> {
        let mut written = vec![self.y, self.saved, self.workspace];
        if options.running.is_some() {
            written.extend([self.running_mean, self.running_var]);
        }
        written
    }

    pub fn results(&self, case: &Case, memory: &Memory) -> Trained {
        let results = [self.y, self.saved, self.running_mean, self.running_var];
        Trained {
            y: data::decode(&case.shape, memory.words(self.y)),
            saved: memory.records(self.saved),
            running: Statistics {
                mean: memory.f32(self.running_mean),
                variance: memory.f32(self.running_var),
            },
            bits: results.into_iter().flat_map(|slot| memory.words(slot).to_vec()).collect(),
        }
    }
}

pub fn training(
    gpu: &Gpu,
    layer: &Training,
    case: &Case,
    options: &TrainingOptions,
    layout: Layout,
) -> Trained {
    let mut arena = Arena::new(gpu, layout);
    let slots = TrainingSlots::place(&mut arena, case, layer.workspace_size());
    let ranges = slots.ranges(&arena);
    submit(gpu, |encoder| {
        layer.encode(encoder, &TrainingSlots::buffers(&ranges, options)).expect("encode training");
    });
    slots.results(case, &arena.read(&slots.written(options)))
}

pub fn inference(gpu: &Gpu, case: &Case, options: InferenceOptions, layout: Layout) -> Vec<f64> {
    let layer = Inference::new(&gpu.context, &case.shape, options).expect("inference");
    inference_by(gpu, &layer, case, options, layout)
}

pub fn inference_by(
    gpu: &Gpu,
    layer: &Inference,
    case: &Case,
    options: InferenceOptions,
    layout: Layout,
) -> Vec<f64> {
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
            residual: None,
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

/// The memory of a backward pass, but for the saved statistics.
#[derive(Clone, Copy)]
pub struct BackwardSlots {
    pub x: Slot,
    pub dy: Slot,
    pub gamma: Slot,
    pub dx: Slot,
    pub dgamma: Slot,
    pub dbeta: Slot,
    pub workspace: Slot,
}

impl BackwardSlots {
    pub fn place(arena: &mut Arena<'_>, case: &Case, workspace: u64) -> Self {
        let channels = u64::from(case.shape.channels());
        Self {
            x: tensor(arena, &case.shape, Some(&case.x)),
            dy: tensor(arena, &case.shape, Some(&case.dy)),
            gamma: parameter(arena, &case.gamma),
            dx: tensor(arena, &case.shape, None),
            dgamma: arena.output(channels * 4),
            dbeta: arena.output(channels * 4),
            workspace: arena.output(workspace),
        }
    }

    pub fn ranges(&self, arena: &Arena<'_>, saved: Slot) -> Ranges {
        let Self { x, dy, gamma, dx, dgamma, dbeta, workspace } = *self;
        Ranges::new(arena, &[x, dy, saved, gamma, dx, dgamma, dbeta, workspace])
    }

    pub fn buffers<'a>(ranges: &'a Ranges, options: &BackwardOptions) -> BackwardBuffers<'a> {
        let gradients = options.gradients;
        BackwardBuffers {
            x: ranges.binding(0),
            dy: ranges.binding(1),
            saved: ranges.binding(2),
            gamma: (gradients.dx && options.affine.has_gamma()).then(|| ranges.binding(3)),
            dx: gradients.dx.then(|| ranges.binding(4)),
            dgamma: gradients.dgamma.then(|| ranges.binding(5)),
            dbeta: gradients.dbeta.then(|| ranges.binding(6)),
            workspace: ranges.binding(7),
            residual: None,
            beta: None,
            dresidual: None,
        }
    }

    /// What the operation may write.
    pub fn written(&self, options: &BackwardOptions) -> Vec<Slot> {
        let mut written = vec![self.workspace];
        written.extend(options.gradients.dx.then_some(self.dx));
        written.extend(options.gradients.dgamma.then_some(self.dgamma));
        written.extend(options.gradients.dbeta.then_some(self.dbeta));
        written
    }

    pub fn results(&self, case: &Case, memory: &Memory) -> Differentiated {
        let results = [self.dx, self.dgamma, self.dbeta];
        Differentiated {
            dx: data::decode(&case.shape, memory.words(self.dx)),
            dgamma: memory.f32(self.dgamma),
            dbeta: memory.f32(self.dbeta),
            bits: results.into_iter().flat_map(|slot| memory.words(slot).to_vec()).collect(),
        }
    }
}

pub fn backward(
    gpu: &Gpu,
    layer: &Backward,
    case: &Case,
    saved: &[SavedStatistics],
    options: &BackwardOptions,
    layout: Layout,
) -> Differentiated {
    let mut arena = Arena::new(gpu, layout);
    let slots = BackwardSlots::place(&mut arena, case, layer.workspace_size());
    let saved = arena.input(bytemuck::cast_slice(saved));
    let ranges = slots.ranges(&arena, saved);
    submit(gpu, |encoder| {
        layer.encode(encoder, &BackwardSlots::buffers(&ranges, options)).expect("encode backward");
    });
    slots.results(case, &arena.read(&slots.written(options)))
}

/// The plans of all strategies that can serve the shape, for the device and for one that is a GPU where it is a CPU,
/// or the other way round: the policy shares work out differently for the two.
fn plans(gpu: &Gpu, plan: impl Fn(Strategy, &Caps) -> Result<Plan, Error>) -> Vec<Plan> {
    let caps = gpu.context.caps();
    let other = Caps { cpu: !caps.cpu, ..caps.clone() };
    let mut plans: Vec<Plan> = Vec::new();
    for found in
        Strategy::ALL.into_iter().flat_map(|strategy| [caps, &other].map(|caps| plan(strategy, caps)))
    {
        let Some(found) = served(found) else { continue };
        if plans.iter().all(|known| known.launches() != found.launches()) {
            plans.push(found);
        }
    }
    plans
}

/// The training layers of all strategies that can serve the shape.
pub fn trainings(gpu: &Gpu, shape: &Shape, options: &TrainingOptions) -> Vec<Training> {
    let plans = plans(gpu, |strategy, caps| Plan::training_by(strategy, shape, options, caps));
    plans.into_iter().map(|plan| Training::from_plan(&gpu.context, plan).expect("a layer")).collect()
}

/// The backward layers of all strategies that can serve the shape.
pub fn backwards(gpu: &Gpu, shape: &Shape, options: &BackwardOptions) -> Vec<Backward> {
    let plans = plans(gpu, |strategy, caps| Plan::backward_by(strategy, shape, options, caps));
    plans.into_iter().map(|plan| Backward::from_plan(&gpu.context, plan).expect("a layer")).collect()
}

/// The plan, if the strategy can serve the shape.
pub fn served(plan: Result<Plan, Error>) -> Option<Plan> {
    match plan {
        Err(Error::Strategy { .. }) => None,
        plan => Some(plan.expect("a plan")),
    }
}

/// Training and backward one after the other by each strategy, checked: the whole step at the bounds of `data`. The
/// results of the strategies that the policy picks.
pub fn step(
    gpu: &Gpu,
    case: &Case,
    options: &TrainingOptions,
    data: check::Data,
    layout: Layout,
) -> Result<(Trained, Differentiated), String> {
    let of_backward = BackwardOptions { affine: options.affine, ..BackwardOptions::default() };
    let forward = |layer: &Training| {
        let trained = training(gpu, layer, case, options, layout);
        let verdict = check::training(case, options, &trained);
        verdict.map_err(|wrong| format!("{}: {wrong}", layer.plan())).map(|()| trained)
    };
    let back = |layer: &Backward, trained: &Trained| {
        let differentiated = backward(gpu, layer, case, &trained.saved, &of_backward, layout);
        let verdict = check::backward(case, &of_backward, options.eps, data, &differentiated);
        verdict.map_err(|wrong| format!("{}: {wrong}", layer.plan())).map(|()| differentiated)
    };
    let layer = Training::new(&gpu.context, &case.shape, *options).map_err(|error| error.to_string())?;
    let trained = forward(&layer)?;
    for other in trainings(gpu, &case.shape, options) {
        forward(&other)?;
    }
    let layer = Backward::new(&gpu.context, &case.shape, of_backward).map_err(|error| error.to_string())?;
    let differentiated = back(&layer, &trained)?;
    for other in backwards(gpu, &case.shape, &of_backward) {
        back(&other, &trained)?;
    }
    Ok((trained, differentiated))
}
