//! Runs one stage on given values and hands its results back.

use wgpu_batchnorm::reference::Statistics;
use wgpu_batchnorm::{
    Affine, BatchGradientSums, BatchGradientSumsBuffers, BatchMoments, BatchMomentsBuffers, Gathered,
    GradientSums, Gradients, InputGradient, InputGradientBuffers, MergeGradientSums,
    MergeGradientSumsBuffers, MergeMoments, MergeMomentsBuffers, Moments, Normalize, NormalizeBuffers,
    RunningStatistics, SavedStatistics,
};

use super::arena::{Arena, Layout};
use super::case::Case;
use super::data;
use super::gpu::Gpu;
use super::run::{Ranges, parameter, submit, tensor};

pub fn batch_moments(gpu: &Gpu, case: &Case, layout: Layout) -> Vec<Moments> {
    let stage = BatchMoments::new(&gpu.context, &case.shape).expect("batch_moments");
    let mut arena = Arena::new(gpu, layout);
    let x = tensor(&mut arena, &case.shape, Some(&case.x));
    let moments = arena.output(u64::from(case.shape.channels()) * Moments::SIZE);
    let workspace = arena.output(stage.workspace_size());
    let ranges = Ranges::new(&arena, &[x, moments, workspace]);
    submit(gpu, |encoder| {
        let [x, moments, workspace] = [0, 1, 2].map(|index| ranges.binding(index));
        stage.encode(encoder, &BatchMomentsBuffers { x, moments, workspace }).expect("encode");
    });
    arena.read(&[moments, workspace]).records(moments)
}

/// `partial` is `[sets, channels]`.
pub fn merge_moments(
    gpu: &Gpu,
    partial: &[Moments],
    before: &Statistics,
    eps: f32,
    running: Option<RunningStatistics>,
    layout: Layout,
) -> (Vec<SavedStatistics>, Statistics) {
    let channels = before.mean.len();
    let sets = (partial.len() / channels) as u32;
    let stage = MergeMoments::new(&gpu.context, Gathered { sets, channels: channels as u32 }, eps, running)
        .expect("merge_moments");
    let mut arena = Arena::new(gpu, layout);
    let partial = arena.input(bytemuck::cast_slice(partial));
    let saved = arena.output(channels as u64 * SavedStatistics::SIZE);
    let running_mean = parameter(&mut arena, &before.mean);
    let running_var = parameter(&mut arena, &before.variance);
    let ranges = Ranges::new(&arena, &[partial, saved, running_mean, running_var]);
    submit(gpu, |encoder| {
        let buffers = MergeMomentsBuffers {
            partial_moments: ranges.binding(0),
            saved: ranges.binding(1),
            running_mean: running.map(|_| ranges.binding(2)),
            running_var: running.map(|_| ranges.binding(3)),
        };
        stage.encode(encoder, &buffers).expect("encode");
    });
    let tracked: &[_] = if running.is_some() { &[running_mean, running_var] } else { &[] };
    let memory = arena.read(&[&[saved], tracked].concat());
    let after = Statistics { mean: memory.f32(running_mean), variance: memory.f32(running_var) };
    (memory.records(saved), after)
}

pub fn normalize(
    gpu: &Gpu,
    case: &Case,
    saved: &[SavedStatistics],
    affine: Affine,
    layout: Layout,
) -> Vec<f64> {
    let stage = Normalize::new(&gpu.context, &case.shape, affine).expect("normalize");
    let mut arena = Arena::new(gpu, layout);
    let x = tensor(&mut arena, &case.shape, Some(&case.x));
    let y = tensor(&mut arena, &case.shape, None);
    let (gamma, beta) = (parameter(&mut arena, &case.gamma), parameter(&mut arena, &case.beta));
    let saved = arena.input(bytemuck::cast_slice(saved));
    let ranges = Ranges::new(&arena, &[x, y, gamma, beta, saved]);
    submit(gpu, |encoder| {
        let buffers = NormalizeBuffers {
            x: ranges.binding(0),
            y: ranges.binding(1),
            gamma: affine.has_gamma().then(|| ranges.binding(2)),
            beta: affine.has_beta().then(|| ranges.binding(3)),
            saved: ranges.binding(4),
        };
        stage.encode(encoder, &buffers).expect("encode");
    });
    data::decode(&case.shape, arena.read(&[y]).words(y))
}

pub fn batch_gradient_sums(
    gpu: &Gpu,
    case: &Case,
    saved: &[SavedStatistics],
    layout: Layout,
) -> Vec<GradientSums> {
    let stage = BatchGradientSums::new(&gpu.context, &case.shape).expect("batch_gradient_sums");
    let mut arena = Arena::new(gpu, layout);
    let x = tensor(&mut arena, &case.shape, Some(&case.x));
    let dy = tensor(&mut arena, &case.shape, Some(&case.dy));
    let saved = arena.input(bytemuck::cast_slice(saved));
    let sums = arena.output(u64::from(case.shape.channels()) * GradientSums::SIZE);
    let workspace = arena.output(stage.workspace_size());
    let ranges = Ranges::new(&arena, &[x, dy, saved, sums, workspace]);
    submit(gpu, |encoder| {
        let [x, dy, saved, sums, workspace] = [0, 1, 2, 3, 4].map(|index| ranges.binding(index));
        let buffers = BatchGradientSumsBuffers { x, dy, saved, sums, workspace };
        stage.encode(encoder, &buffers).expect("encode");
    });
    arena.read(&[sums, workspace]).records(sums)
}

/// `partial` is `[sets, channels]`. Returns the sums of the whole, dgamma and dbeta; NaN where not asked for.
pub fn merge_gradient_sums(
    gpu: &Gpu,
    partial: &[GradientSums],
    saved: &[SavedStatistics],
    gradients: Gradients,
    layout: Layout,
) -> (Vec<GradientSums>, Vec<f64>, Vec<f64>) {
    let channels = saved.len();
    let sets = (partial.len() / channels) as u32;
    let stage = MergeGradientSums::new(&gpu.context, Gathered { sets, channels: channels as u32 }, gradients)
        .expect("merge");
    let mut arena = Arena::new(gpu, layout);
    let partial = arena.input(bytemuck::cast_slice(partial));
    let saved = arena.input(bytemuck::cast_slice(saved));
    let sums = arena.output(channels as u64 * GradientSums::SIZE);
    let (dgamma, dbeta) = (arena.output(channels as u64 * 4), arena.output(channels as u64 * 4));
    let ranges = Ranges::new(&arena, &[partial, saved, sums, dgamma, dbeta]);
    submit(gpu, |encoder| {
        let buffers = MergeGradientSumsBuffers {
            partial_sums: ranges.binding(0),
            saved: ranges.binding(1),
            sums: ranges.binding(2),
            dgamma: gradients.dgamma.then(|| ranges.binding(3)),
            dbeta: gradients.dbeta.then(|| ranges.binding(4)),
        };
        stage.encode(encoder, &buffers).expect("encode");
    });
    let mut written = vec![sums];
    written.extend(gradients.dgamma.then_some(dgamma));
    written.extend(gradients.dbeta.then_some(dbeta));
    let memory = arena.read(&written);
    (memory.records(sums), memory.f32(dgamma), memory.f32(dbeta))
}

pub fn input_gradient(
    gpu: &Gpu,
    case: &Case,
    saved: &[SavedStatistics],
    sums: &[GradientSums],
    affine: Affine,
    layout: Layout,
) -> Vec<f64> {
    let stage = InputGradient::new(&gpu.context, &case.shape, affine).expect("input_gradient");
    let mut arena = Arena::new(gpu, layout);
    let x = tensor(&mut arena, &case.shape, Some(&case.x));
    let dy = tensor(&mut arena, &case.shape, Some(&case.dy));
    let dx = tensor(&mut arena, &case.shape, None);
    let gamma = parameter(&mut arena, &case.gamma);
    let saved = arena.input(bytemuck::cast_slice(saved));
    let sums = arena.input(bytemuck::cast_slice(sums));
    let ranges = Ranges::new(&arena, &[x, dy, dx, gamma, saved, sums]);
    submit(gpu, |encoder| {
        let buffers = InputGradientBuffers {
            x: ranges.binding(0),
            dy: ranges.binding(1),
            dx: ranges.binding(2),
            gamma: affine.has_gamma().then(|| ranges.binding(3)),
            saved: ranges.binding(4),
            sums: ranges.binding(5),
        };
        stage.encode(encoder, &buffers).expect("encode");
    });
    data::decode(&case.shape, arena.read(&[dx]).words(dx))
}
