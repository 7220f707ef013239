//! Training forward against the reference.

use wgpu_batchnorm::reference::{self, Statistics};
use wgpu_batchnorm::{
    Affine, Dtype, Momentum, Plan, RunningStatistics, RunningVariance, Shape, Strategy, Training,
    TrainingOptions,
};

use crate::Test;
use crate::support::arena::Layout;
use crate::support::case::Case;
use crate::support::check::{self, hold};
use crate::support::gpu::Gpu;
use crate::support::{grid, run};

pub const TESTS: &[Test] = &[
    ("grid_f32", grid_f32),
    ("grid_f16", grid_f16),
    ("options", options),
    ("cumulative_average", cumulative_average),
    ("momentum_zero_and_one", momentum_zero_and_one),
    ("momentum_is_of_the_recording", momentum_is_of_the_recording),
    ("policy_picks_a_strategy", policy_picks_a_strategy),
];

fn shape(dims: &[usize], axis: usize, dtype: Dtype) -> Shape {
    Shape::new(dims, axis, dtype).expect("a shape")
}

/// Options and layout that differ from case to case: 4 and 3 and 2 have no common period with the grid's 7 and 6.
fn turns(index: usize) -> (TrainingOptions, Layout) {
    let variance = [RunningVariance::Unbiased, RunningVariance::Biased][index / 3 % 2];
    let running = [
        None,
        Some(RunningStatistics::default()),
        Some(RunningStatistics { momentum: Momentum::OfNew(0.3), variance, ..Default::default() }),
    ][(index + 1) % 3];
    let affine = Affine::ALL[index / 2 % 4];
    (TrainingOptions { affine, running, ..TrainingOptions::default() }, Layout::ALL[index % 2])
}

/// y within 2e-6 (1 + |gamma| max|x_hat|) of the reference for every shape of the grid, whatever the channel axis:
/// the bound that the crate promises; saved and running statistics within the bounds of `check`.
fn grid_f32(gpu: &Gpu) {
    for (index, shape) in grid::shapes(Dtype::F32).into_iter().enumerate() {
        let (options, layout) = turns(index);
        let case = Case::random(shape, index as u64, 3.0);
        for layer in run::trainings(gpu, &shape, &options) {
            let actual = run::training(gpu, &layer, &case, &options, layout);
            hold(layer.plan(), check::training(&case, &options, &actual));
        }
    }
}

/// The same for f16, where rounding to storage adds half a unit in the last place of y. The general strategy takes
/// values one by one whatever their type: its y is bit by bit what the same values in f32 give, rounded once.
fn grid_f16(gpu: &Gpu) {
    for (index, shape) in grid::shapes(Dtype::F16).into_iter().enumerate() {
        let (options, layout) = turns(index);
        let case = Case::random(shape, index as u64, 3.0);
        let wide = case.widened();
        for layer in run::trainings(gpu, &shape, &options) {
            let actual = run::training(gpu, &layer, &case, &options, layout);
            hold(layer.plan(), check::training(&case, &options, &actual));
            if layer.plan().strategy() == Some(Strategy::General) {
                let plan = Plan::training_by(Strategy::General, &wide.shape, &options, gpu.context.caps());
                let wide_layer = Training::from_plan(&gpu.context, plan.expect("a plan")).expect("a layer");
                let wide = run::training(gpu, &wide_layer, &wide, &options, layout);
                hold(layer.plan(), check::rounded_once("y", &actual.y, &wide.y));
                assert!(actual.saved.len() == wide.saved.len(), "{}", layer.plan());
            }
        }
    }
}

/// Every affine variant with every kind of running statistics, momentum 0, 1 and outside of 0..1 included, in
/// separate buffers and in one: the same bounds hold, and what is absent is neither read nor written.
fn options(gpu: &Gpu) {
    let tracked = |momentum, variance| {
        Some(RunningStatistics { momentum: Momentum::OfNew(momentum), variance, ..Default::default() })
    };
    let mut kinds = vec![None];
    for variance in [RunningVariance::Unbiased, RunningVariance::Biased] {
        kinds.extend([0.1, 0.0, 1.0, -1.2, 3.0].map(|momentum| tracked(momentum, variance)));
    }
    for dtype in Dtype::ALL {
        let dims = [&[5, 6, 7][..], &[9, 5], &[2, 3], &[5, 8, 7], &[9, 16], &[3, 2, 8]];
        for shape in dims.map(|dims| shape(dims, 1, dtype)) {
            let case = Case::random(shape, 7, 2.0);
            for affine in Affine::ALL {
                for &running in &kinds {
                    for layout in Layout::ALL {
                        for eps in [1e-5, 1e-3] {
                            let options = TrainingOptions { affine, running, eps, ..Default::default() };
                            for layer in run::trainings(gpu, &shape, &options) {
                                let actual = run::training(gpu, &layer, &case, &options, layout);
                                let verdict = check::training(&case, &options, &actual);
                                hold(format!("{} {options:?} {layout:?}", layer.plan()), verdict);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A momentum of 1 / n at the n-th batch gives the mean of the batches' statistics, PyTorch's `momentum=None`. Each
/// batch adds the rounding of one update, and what was there before the first does not matter.
fn cumulative_average(gpu: &Gpu) {
    let shape = shape(&[6, 5, 4], 1, Dtype::F32);
    let options = TrainingOptions::default();
    let mut layer = Training::new(&gpu.context, &shape, options).expect("a layer");
    let mut expected = Statistics { mean: vec![0.0; 5], variance: vec![0.0; 5] };
    let mut case = Case::random(shape, 40, 1.0);
    let batches = 9u8;
    for n in 1..=batches {
        case = Case { running: case.running, ..Case::random(shape, 40 + u64::from(n), f64::from(n)) };
        layer.set_momentum(Momentum::OfNew(1.0 / f32::from(n))).expect("momentum");
        case.running = run::training(gpu, &layer, &case, &options, Layout::Separate).running;
        let batch = reference::statistics(&shape, &case.x).expect("lengths");
        for c in 0..5 {
            expected.mean[c] += batch.mean[c] / f64::from(batches);
            expected.variance[c] += batch.variance[c] * 24.0 / 23.0 / f64::from(batches);
        }
    }
    let bound = f64::from(batches) * 4.0 * check::U;
    let largest = expected.mean.iter().chain(&expected.variance).fold(0.0f64, |a, b| a.max(b.abs()));
    hold("mean", check::within("running", &case.running.mean, &expected.mean, |_| bound * 2.0 * largest));
    let variance = check::within("running", &case.running.variance, &expected.variance, |_| {
        (bound * 2.0 + 4e-6) * largest
    });
    hold("variance", variance);
}

/// Momentum 0 leaves finite running statistics as they are, bit by bit, and 1 replaces them by the batch's: no trace
/// of the old value, however large it was.
fn momentum_zero_and_one(gpu: &Gpu) {
    let shape = shape(&[6, 5, 4], 1, Dtype::F32);
    let mut case = Case::random(shape, 3, 1.0);
    let options = TrainingOptions::default();
    let mut layer = Training::new(&gpu.context, &shape, options).expect("a layer");
    layer.set_momentum(Momentum::OfNew(0.0)).expect("momentum");
    let actual = run::training(gpu, &layer, &case, &options, Layout::Shared);
    hold("momentum 0", check::same_running(&case.running, &actual.running));
    case.running.mean.fill(1e30);
    case.running.variance.fill(1e30);
    layer.set_momentum(Momentum::OfNew(1.0)).expect("momentum");
    let actual = run::training(gpu, &layer, &case, &options, Layout::Shared);
    let batch = reference::statistics(&shape, &case.x).expect("lengths");
    let replaced = TrainingOptions {
        running: Some(RunningStatistics { momentum: Momentum::OfNew(1.0), ..RunningStatistics::default() }),
        ..options
    };
    hold("momentum 1", check::running(&case, &batch, &replaced, &actual.running));
}

/// A recording keeps the momentum that it was made with: 1, then 0 set before the submission.
fn momentum_is_of_the_recording(gpu: &Gpu) {
    use crate::support::arena::Arena;
    use crate::support::run::TrainingSlots;
    let shape = shape(&[6, 5, 4], 1, Dtype::F32);
    let case = Case::random(shape, 3, 1.0);
    let running = Some(RunningStatistics { momentum: Momentum::OfNew(1.0), ..RunningStatistics::default() });
    let options = TrainingOptions { running, ..TrainingOptions::default() };
    let mut layer = Training::new(&gpu.context, &shape, options).expect("a layer");
    let mut arena = Arena::new(gpu, Layout::Separate);
    let slots = TrainingSlots::place(&mut arena, &case, layer.workspace_size());
    let ranges = slots.ranges(&arena);
    run::submit(gpu, |encoder| {
        layer.encode(encoder, &TrainingSlots::buffers(&ranges, &options)).expect("encode");
        layer.set_momentum(Momentum::OfNew(0.0)).expect("momentum");
    });
    let actual = slots.results(&case, &arena.read(&slots.written(&options)));
    hold("recorded with 1", check::training(&case, &options, &actual));
}

/// What the policy picks is one of the strategies that the grid has walked.
fn policy_picks_a_strategy(gpu: &Gpu) {
    for shape in grid::shapes(Dtype::F32) {
        let options = TrainingOptions::default();
        let picked = Training::new(&gpu.context, &shape, options).expect("a layer");
        assert!(
            run::trainings(gpu, &shape, &options)
                .iter()
                .any(|layer| layer.plan().launches() == picked.plan().launches())
        );
    }
}
