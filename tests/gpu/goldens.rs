//! Against PyTorch in float64, without the reference in between.

use wgpu_batchnorm::reference::Statistics;
use wgpu_batchnorm::{
    Backward, BackwardOptions, Dtype, Gradients, InferenceOptions, Momentum, Plan, RunningStatistics,
    SavedStatistics, Shape, Strategy, Training, TrainingOptions,
};

use crate::Test;
use crate::support::arena::Layout;
use crate::support::case::Case;
use crate::support::check::{U, Verdict, hold, mean_bound, rounded_once, within};
use crate::support::gpu::Gpu;
use crate::support::run;

#[path = "../data/goldens.rs"]
mod file;

use file::Golden;

pub const TESTS: &[Test] = &[("training", training), ("backward", backward), ("inference", inference)];

/// The goldens that are normalized by the batch, or by running statistics, and how many there have to be.
fn goldens(by_batch: bool, count: usize) -> Vec<Golden> {
    let goldens: Vec<_> = file::load().into_iter().filter(|golden| golden.by_batch() == by_batch).collect();
    assert_eq!(goldens.len(), count);
    goldens
}

fn case(golden: &Golden, batch: usize, running: Statistics) -> Case {
    let channels = golden.batch_mean.len();
    let neutral = |value: f64| vec![value; channels];
    let gamma = golden.gamma.clone().unwrap_or_else(|| neutral(1.0));
    let beta = golden.beta.clone().unwrap_or_else(|| neutral(0.0));
    let x = &golden.x[batch];
    let dy = golden.dy.clone().unwrap_or_else(|| vec![0.0; x.len()]);
    Case::new(golden.shape(), x, &dy, gamma, beta, running)
}

/// Running statistics where none are tracked: they stay what they are.
fn nothing(golden: &Golden) -> Statistics {
    let channels = golden.batch_mean.len();
    Statistics { mean: vec![7.0; channels], variance: vec![7.0; channels] }
}

fn options(golden: &Golden) -> TrainingOptions {
    let running = golden.running().map(|_| RunningStatistics::default());
    TrainingOptions { eps: golden.eps as f32, affine: golden.affine(), running, ..Default::default() }
}

/// Per channel, the largest of a quantity of its values.
fn largest(shape: &Shape, values: &[f64], of: impl Fn(f64, usize) -> f64) -> Vec<f64> {
    let mut largest = vec![0.0f64; shape.channels() as usize];
    for (i, &value) in values.iter().enumerate() {
        let c = channel(shape, i);
        largest[c] = largest[c].max(of(value, c));
    }
    largest
}

fn channel(shape: &Shape, index: usize) -> usize {
    crate::support::case::channel(shape, index)
}

fn invstd(golden: &Golden) -> Vec<f64> {
    golden.batch_var.iter().map(|variance| 1.0 / (variance + golden.eps).sqrt()).collect()
}

/// All batches of a golden one after the other, by one layer, in this storage type. The last one's results.
fn train(gpu: &Gpu, golden: &Golden, strategy: Strategy, wide: bool, layout: Layout) -> Option<run::Trained> {
    let options = options(golden);
    let stored = |case: Case| if wide { case.widened() } else { case };
    let mut running = golden.running().map_or_else(|| nothing(golden), |(before, _)| before);
    let shape = stored(case(golden, 0, running.clone())).shape;
    let plan = run::served(Plan::training_by(strategy, &shape, &options, gpu.context.caps()))?;
    let mut layer = Training::from_plan(&gpu.context, plan).expect("a layer");
    let mut last = None;
    for batch in 0..golden.x.len() {
        if options.running.is_some() {
            layer.set_momentum(Momentum::OfNew(golden.momentum_of(batch) as f32)).expect("momentum");
        }
        let trained = run::training(gpu, &layer, &stored(case(golden, batch, running)), &options, layout);
        running = trained.running.clone();
        last = Some(trained);
    }
    Some(last.expect("a batch"))
}

/// y within 2e-6 (1 + |gamma| max|x_hat|), what is saved and the running statistics after all batches within what the
/// suite allows beside the reference. In f16, y is bit by bit the f32 result rounded once.
fn training(gpu: &Gpu) {
    for (index, golden) in goldens(true, file::COUNT - 4).iter().enumerate() {
        let layout = Layout::ALL[index % 2];
        for strategy in Strategy::ALL {
            let Some(trained) = train(gpu, golden, strategy, true, layout) else { continue };
            hold(format!("{} {strategy}", golden.name), forward(golden, &trained));
            if golden.shape().dtype() == Dtype::F16 && strategy == Strategy::General {
                let narrow = train(gpu, golden, strategy, false, layout).expect("it serves any shape");
                hold(&golden.name, rounded_once("y", &narrow.y, &trained.y));
                assert!(
                    narrow.saved == trained.saved && narrow.running == trained.running,
                    "{}",
                    golden.name
                );
            }
        }
    }
}

fn forward(golden: &Golden, actual: &run::Trained) -> Verdict {
    let (shape, invstd, batch) = (golden.shape(), invstd(golden), golden.batch());
    let x = golden.x.last().expect("a batch");
    let x_hat = largest(&shape, x, |x, c| ((x - batch.mean[c]) * invstd[c]).abs());
    let gamma = |c: usize| golden.gamma.as_ref().map_or(1.0, |gamma| gamma[c].abs());
    within("y", &actual.y, &golden.y, |i| {
        let c = channel(&shape, i);
        2e-6 * (1.0 + gamma(c) * x_hat[c])
    })?;
    let column = |value: fn(&SavedStatistics) -> f64| actual.saved.iter().map(value).collect::<Vec<_>>();
    let mean = |c: usize| mean_bound(batch.mean[c], batch.variance[c]);
    within("batch mean", &column(SavedStatistics::mean), &batch.mean, mean)?;
    within("batch variance", &column(|s| s.variance.into()), &batch.variance, |c| 4e-6 * batch.variance[c])?;
    let Some((before, after)) = golden.running() else {
        let kept = nothing(golden);
        within("running mean", &actual.running.mean, &kept.mean, |_| 0.0)?;
        return within("running variance", &actual.running.variance, &kept.variance, |_| 0.0);
    };
    // Per batch, four roundings of the two terms, and what the batch's own statistics are off by.
    let batches = golden.x.len() as f64;
    let momentum = (0..golden.x.len()).map(|batch| golden.momentum_of(batch).abs()).fold(0.0, f64::max);
    let terms = |old: f64, new: f64| 4.0 * U * ((1.0 + momentum) * old.abs() + momentum * 2.0 * new.abs());
    within("running mean", &actual.running.mean, &after.mean, |c| {
        batches * (terms(before.mean[c], batch.mean[c]) + momentum * mean(c))
    })?;
    // The unbiased variance is at most twice the biased one.
    within("running variance", &actual.running.variance, &after.variance, |c| {
        batches * (terms(before.variance[c], batch.variance[c]) + momentum * 8e-6 * batch.variance[c])
    })
}

/// dx within 2e-6 |gamma invstd| (1 + 1.5 max|dy|), dgamma and dbeta within 2e-5 of their largest, by the statistics
/// that the forward pass on the device has saved. In f16, dx is bit by bit the f32 result rounded once.
fn backward(gpu: &Gpu) {
    for (index, golden) in goldens(true, file::COUNT - 4).iter().enumerate() {
        let (shape, invstd, layout) = (golden.shape(), invstd(golden), Layout::ALL[index % 2]);
        let case = case(golden, golden.x.len() - 1, nothing(golden));
        let gradients = Gradients {
            dx: true,
            dgamma: golden.dgamma.is_some(),
            dbeta: golden.dbeta.is_some(),
            dresidual: false,
        };
        let options = BackwardOptions { affine: golden.affine(), gradients, ..Default::default() };
        for strategy in Strategy::ALL {
            let run = |case: &Case, saved: &[SavedStatistics]| {
                let plan = Plan::backward_by(strategy, &case.shape, &options, gpu.context.caps());
                let layer = Backward::from_plan(&gpu.context, run::served(plan)?).expect("a layer");
                Some(run::backward(gpu, &layer, case, saved, &options, layout))
            };
            let Some(saved) = train(gpu, golden, strategy, true, layout).map(|trained| trained.saved) else {
                continue;
            };
            let Some(actual) = run(&case.widened(), &saved) else { continue };
            let dy = largest(&shape, &case.dy, |dy, _| dy.abs());
            let place = format!("{} {strategy}", golden.name);
            let dx = within("dx", &actual.dx, golden.dx.as_ref().expect("dx"), |i| {
                let c = channel(&shape, i);
                2e-6 * (case.gamma[c] * invstd[c]).abs() * (1.0 + 1.5 * dy[c])
            });
            hold(&place, dx);
            for (name, actual, expected) in
                [("dgamma", &actual.dgamma, &golden.dgamma), ("dbeta", &actual.dbeta, &golden.dbeta)]
            {
                let Some(expected) = expected else { continue };
                let largest = expected.iter().fold(0.0f64, |a, b| a.max(b.abs()));
                hold(&place, within(name, actual, expected, |_| 2e-5 * largest));
            }
            if shape.dtype() == Dtype::F16 && strategy == Strategy::General {
                let narrow = run(&case, &saved).expect("it serves any shape");
                hold(&place, rounded_once("dx", &narrow.dx, &actual.dx));
            }
        }
    }
}

/// Inference: eight roundings of the scaled deviation, two of beta. In f16, y is bit by bit the f32 result rounded
/// once.
fn inference(gpu: &Gpu) {
    for (index, golden) in goldens(false, 4).iter().enumerate() {
        let (shape, layout) = (golden.shape(), Layout::ALL[index % 2]);
        let (running, after) = golden.running().expect("running statistics");
        assert_eq!(running, after, "{}: evaluation has changed them", golden.name);
        let case = case(golden, 0, running.clone());
        let options =
            InferenceOptions { eps: golden.eps as f32, affine: golden.affine(), ..Default::default() };
        let y = run::inference(gpu, &case.widened(), options, layout);
        let bound = |i: usize| {
            let c = channel(&shape, i);
            let invstd = 1.0 / (running.variance[c] + golden.eps).sqrt();
            let deviation = ((case.x[i] - running.mean[c]) * invstd * case.gamma[c]).abs();
            8.0 * U * deviation + 2.0 * U * case.beta[c].abs()
        };
        hold(&golden.name, within("y", &y, &golden.y, bound));
        if shape.dtype() == Dtype::F16 {
            hold(&golden.name, rounded_once("y", &run::inference(gpu, &case, options, layout), &y));
        }
    }
}
