//! Sizes beyond the limits of one dimension of a grid and of one invocation's loops.
//!
//! llvmpipe ends all loops of an invocation after 65 535 iterations in total and says nothing; a workgroup of 256
//! that walked a channel of more than 65 536 * 256 values alone would drop the rest.

use wgpu_batchnorm::reference::{self, Statistics};
use wgpu_batchnorm::{
    Backward, BackwardOptions, Caps, Dtype, Error, GradientSums, Gradients, Inference, InferenceOptions,
    MAX_SETS, Moments, Place, Plan, SavedStatistics, Shape, Strategy, Training, TrainingOptions,
};

use crate::Test;
use crate::support::arena::Layout;
use crate::support::case::Case;
use crate::support::check::{self, Data, hold};
use crate::support::gpu::Gpu;
use crate::support::{run, stages};

pub const TESTS: &[Test] = &[
    ("one_long_channel_f32", |gpu| one_long_channel(gpu, Dtype::F32)),
    ("one_long_channel_f16", |gpu| one_long_channel(gpu, Dtype::F16)),
    ("many_channels", many_channels),
    ("most_sets", most_sets),
    ("many_channels_and_sets", many_channels_and_sets),
    ("folded_grids", folded_grids),
    ("narrow_workgroups", narrow_workgroups),
    ("slices", slices),
];

/// The statistics and the sums of a channel that no single workgroup could walk, contiguous and with its values on
/// their own: the bounds of any other channel. Its last values are far from the others, so that dropping them shows.
fn one_long_channel(gpu: &Gpu, dtype: Dtype) {
    let long = 65_536 * 256 + 4_242;
    for dims in [[1, 1, long], [long, 1, 1], [2, 1, long / 2]] {
        let shape = Shape::new(&dims, 1, dtype).expect("a shape");
        let mut case = Case::large(shape, 81);
        let last = case.x.len() - 2_000;
        case.x[last..].fill(40.0);
        case.dy[last..].fill(3.0);
        let batch = reference::statistics(&shape, &case.x).expect("lengths");
        let moments = stages::batch_moments(gpu, &case, Layout::Separate)[0];
        assert_eq!(moments.count, shape.values_per_channel());
        let (mean, variance) = (batch.mean[0], batch.variance[0]);
        let error = (moments.mean() - mean).abs();
        assert!(error <= check::mean_bound(mean, variance), "{shape}: mean {} for {mean}", moments.mean());
        let error = (moments.variance() - variance).abs();
        assert!(error <= 4e-6 * variance, "{shape}: variance {} for {variance}", moments.variance());

        let saved = case.saved(1e-5);
        let sums = stages::batch_gradient_sums(gpu, &case, &saved, Layout::Separate)[0];
        let (mut dy, mut dy_centered) = (0.0, 0.0);
        for (x, gradient) in case.x.iter().zip(&case.dy) {
            dy += gradient;
            dy_centered += gradient * (x - mean);
        }
        assert_eq!(sums.count, shape.values_per_channel());
        let near = |actual: f32, expected: f64| (f64::from(actual) - expected).abs() <= 2e-5 * expected.abs();
        assert!(
            near(sums.dy, dy) && near(sums.dy_centered, dy_centered),
            "{shape}: {sums:?} for {dy}, {dy_centered}"
        );
    }
}

/// More channels than workgroups fit in one dimension, in the middle and last: every kernel's grid is folded, and
/// the same bounds hold.
fn many_channels(gpu: &Gpu) {
    for dtype in Dtype::ALL {
        for dims in [[2, 70_000, 2], [3, 70_000, 1]] {
            let shape = Shape::new(&dims, 1, dtype).expect("a shape");
            let case = Case::random(shape, 82, 1.0);
            let step = run::step(gpu, &case, &TrainingOptions::default(), Data::Plain, Layout::Separate);
            hold(shape, step.map(drop));
        }
    }
}

/// A set of moments whose merge is easy to predict: set `s` of channel `c` has two values, `base - 1` and `base + 1`
/// about a base that both determine.
fn moments(base: f32) -> Moments {
    Moments { count: 2, pivot: base, difference: 0.0, m2: 2.0 }
}

/// The merge of as many sets as are allowed, beside few channels: each set counts once. The bounds are those of a
/// channel of as many values.
fn most_sets(gpu: &Gpu) {
    let channels = 3usize;
    for sets in [MAX_SETS as usize, MAX_SETS as usize - 1] {
        let base = |i: usize| (i * 7919 % 1000) as f32 + (i % channels) as f32 * 1e4;
        merge(gpu, channels, sets, &|i| base(i));
    }
}

/// 70 000 channels with 64 sets each take a workgroup for each channel: more than one dimension holds.
fn many_channels_and_sets(gpu: &Gpu) {
    merge(gpu, 70_000, 64, &|i| (i * 7919 % 1000) as f32);
}

fn merge(gpu: &Gpu, channels: usize, sets: usize, base: &dyn Fn(usize) -> f32) {
    let place = format!("{sets} sets of {channels} channels");
    let partial: Vec<Moments> = (0..sets * channels).map(|i| moments(base(i))).collect();
    let mut batch = Statistics { mean: vec![0.0; channels], variance: vec![0.0; channels] };
    for i in 0..partial.len() {
        batch.mean[i % channels] += f64::from(base(i)) / sets as f64;
    }
    for i in 0..partial.len() {
        let c = i % channels;
        batch.variance[c] += ((f64::from(base(i)) - batch.mean[c]).powi(2) + 1.0) / sets as f64;
    }
    let before = Statistics { mean: vec![0.0; channels], variance: vec![1.0; channels] };
    let (saved, _) = stages::merge_moments(gpu, &partial, &before, 1e-5, None, Layout::Separate);
    hold(&place, check::saved(&batch, 1e-5, &saved));

    // Whole numbers below 2^24: their sums are exact.
    let record = |i: usize| GradientSums { count: 3, dy: (i % 5) as f32 - 1.0, dy_centered: (i % 3) as f32 };
    let partial: Vec<GradientSums> = (0..sets * channels).map(record).collect();
    let mut expected = vec![GradientSums::default(); channels];
    for (i, record) in partial.iter().enumerate() {
        let sum = &mut expected[i % channels];
        sum.count += record.count;
        sum.dy += record.dy;
        sum.dy_centered += record.dy_centered;
    }
    let saved = vec![SavedStatistics { invstd: 1.0, ..Default::default() }; channels];
    let (sums, ..) =
        stages::merge_gradient_sums(gpu, &partial, &saved, Gradients::default(), Layout::Separate);
    assert!(sums == expected, "{place}: gradient sums differ");
}

/// Runs all operations by plans for a lesser device, and returns how many launches had a folded grid.
fn by_plans_for(gpu: &Gpu, caps: &Caps, case: &Case, same_bits: bool) -> usize {
    let shape = &case.shape;
    let (forward, inference, backward) =
        (TrainingOptions::default(), InferenceOptions::default(), BackwardOptions::default());
    let context = &gpu.context;

    let plan = Plan::training(shape, &forward, caps).expect("a plan");
    let mut folded = plan.launches().iter().filter(|launch| launch.grid[1] > 1).count();
    let layer = Training::from_plan(context, plan).expect("a layer");
    let trained = run::training(gpu, &layer, case, &forward, Layout::Separate);
    hold(layer.plan(), check::training(case, &forward, &trained));

    let plan = Plan::backward(shape, &backward, caps).expect("a plan");
    folded += plan.launches().iter().filter(|launch| launch.grid[1] > 1).count();
    let layer = Backward::from_plan(context, plan).expect("a layer");
    let differentiated = run::backward(gpu, &layer, case, &trained.saved, &backward, Layout::Shared);
    hold(layer.plan(), check::backward(case, &backward, forward.eps, Data::Plain, &differentiated));

    let plan = Plan::inference(shape, &inference, caps).expect("a plan");
    folded += plan.launches().iter().filter(|launch| launch.grid[1] > 1).count();
    let layer = Inference::from_plan(context, plan).expect("a layer");
    let y = run::inference_by(gpu, &layer, case, inference, Layout::Separate);
    hold(layer.plan(), check::inference(case, &inference, &y));

    if same_bits {
        let (usual, usual_gradients) = run::step(gpu, case, &forward, Data::Plain, Layout::Separate)
            .unwrap_or_else(|wrong| panic!("{wrong}"));
        assert!(usual.bits == trained.bits && usual_gradients.bits == differentiated.bits, "{shape}: bits");
    }
    folded
}

/// A plan for a device that allows few workgroups in a dimension folds its grids, ragged ends included, and gives
/// the bits that it gives unfolded: the fold moves work, it changes none.
fn folded_grids(gpu: &Gpu) {
    for dtype in Dtype::ALL {
        for dims in [[4, 37, 221], [50, 37, 130], [1000, 67, 1]] {
            let shape = Shape::new(&dims, 1, dtype).expect("a shape");
            let case = Case::random(shape, 83, 2.0);
            for max_workgroups in [17, 41] {
                let caps = Caps { max_workgroups, ..gpu.context.caps().clone() };
                let folded = by_plans_for(gpu, &caps, &case, true);
                assert!(folded > 0, "{shape}: nothing was folded at {max_workgroups}");
            }
        }
    }
}

/// A plan for a device with smaller workgroups, down to a single invocation, holds the same bounds: trees and lanes
/// are made for any power of two.
fn narrow_workgroups(gpu: &Gpu) {
    for dtype in Dtype::ALL {
        for dims in [[4, 3, 49], [130, 5, 1], [60, 40, 1]] {
            let shape = Shape::new(&dims, 1, dtype).expect("a shape");
            let case = Case::random(shape, 84, 2.0);
            for max_invocations in [1, 2, 3, 16, 64, 100, 128] {
                let caps = Caps { max_invocations, ..gpu.context.caps().clone() };
                by_plans_for(gpu, &caps, &case, false);
            }
        }
    }
}

/// Tensors that are larger than one binding come in slices: of rows, of channels of a row, of parts of a channel, ragged
/// ends and odd beginnings included. By every strategy that takes them, the bounds of an undivided tensor hold.
fn slices(gpu: &Gpu) {
    let rows = [[40, 12, 64], [61, 7, 35], [900, 40, 1]];
    let channels = [[3, 40, 196], [2, 44, 49], [2, 480, 21], [2, 46, 37]];
    let parts = [[2, 3, 9000], [1, 2, 12_343 * 4]];
    let mut sliced = 0;
    for dtype in Dtype::ALL {
        for dims in rows.into_iter().chain(channels).chain(parts) {
            let shape = Shape::new(&dims, 1, dtype).expect("a shape");
            // Channels that are far from each other, so that none is taken for another.
            let case = Case::random(shape, 85, 2.0).with_x(|_, c, x| x + 100.0 * (c % 13) as f64);
            for max_binding_size in [1 << 14, (1 << 13) + 1024 + 260] {
                let caps = Caps { max_binding_size, ..gpu.context.caps().clone() };
                sliced += by_every_strategy(gpu, &caps, &case);
            }
        }
    }
    assert!(sliced > 400, "{sliced} launches over slices");
}

/// Runs all operations by plans for a lesser device and each strategy, and returns how many launches were over a slice.
fn by_every_strategy(gpu: &Gpu, caps: &Caps, case: &Case) -> usize {
    let (shape, context) = (&case.shape, &gpu.context);
    let over_slices = |plan: &Plan| {
        let is_slice = |(_, place): &(_, Place)| matches!(place, Place::Slice { .. });
        plan.launches().iter().filter(|launch| launch.places.iter().any(is_slice)).count()
    };
    let mut sliced = 0;
    let (forward, backward) = (TrainingOptions::default(), BackwardOptions::default());
    for strategy in Strategy::ALL {
        // Partial results may not fit one binding where a tensor does not.
        let fits = |plan: Result<Plan, Error>| match plan {
            Err(Error::Limit { .. }) => None,
            plan => run::served(plan),
        };
        if let Some(plan) = fits(Plan::training_by(strategy, shape, &forward, caps)) {
            sliced += over_slices(&plan);
            let layer = Training::from_plan(context, plan).expect("a layer");
            let trained = run::training(gpu, &layer, case, &forward, Layout::Separate);
            hold(layer.plan(), check::training(case, &forward, &trained));
        }
        if let Some(plan) = fits(Plan::backward_by(strategy, shape, &backward, caps)) {
            sliced += over_slices(&plan);
            let layer = Backward::from_plan(context, plan).expect("a layer");
            let saved = case.saved(forward.eps);
            let actual = run::backward(gpu, &layer, case, &saved, &backward, Layout::Shared);
            hold(layer.plan(), check::backward(case, &backward, forward.eps, Data::Plain, &actual));
        }
    }
    let options = InferenceOptions::default();
    let plan = Plan::inference(shape, &options, caps).expect("a plan");
    sliced += over_slices(&plan);
    let layer = Inference::from_plan(context, plan).expect("a layer");
    let y = run::inference_by(gpu, &layer, case, options, Layout::Shared);
    hold(layer.plan(), check::inference(case, &options, &y));
    sliced
}
