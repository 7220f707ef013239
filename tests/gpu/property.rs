//! Random shapes, options and data against the reference.
//!
//! The same cases every time: the seed is fixed. `PROPTEST_CASES` sets how many there are, `PROPTEST_RNG_SEED`
//! another seed; a failure names both and the smallest case that still fails.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use wgpu_batchnorm::{
    Affine, BackwardOptions, Dtype, Gradients, InferenceOptions, Momentum, RunningStatistics,
    RunningVariance, Shape, Training, TrainingOptions,
};

use crate::Test;
use crate::support::arena::Layout;
use crate::support::case::Case;
use crate::support::check::{self, Data};
use crate::support::gpu::Gpu;
use crate::support::run;

pub const TESTS: &[Test] = &[("training_and_backward", training_and_backward), ("inference", inference)];

const CASES: u32 = 256;
const SEED: u64 = 0x0062_6e6f_726d;

/// A case as proptest shrinks it: numbers, no tensors.
#[derive(Clone, Debug)]
struct Description {
    dims: Vec<usize>,
    axis: usize,
    dtype: Dtype,
    affine: Affine,
    running: Option<RunningStatistics>,
    gradients: Gradients,
    layout: Layout,
    eps: f32,
    offset: f64,
    scale: f64,
    /// One value of each channel is that many standard deviations away; 0 for none.
    outlier: f64,
    seed: u64,
}

impl Description {
    fn case(&self) -> Case {
        let shape = Shape::new(&self.dims, self.axis, self.dtype).expect("a shape");
        // f16 ends at 65504.
        let most = if self.dtype == Dtype::F16 { 6e4 } else { f64::INFINITY };
        let run = shape.inner() as usize;
        let position = self.seed as usize % (shape.values_per_channel() as usize).max(1);
        Case::random(shape, self.seed, 0.0).with_x(|i, _, x| {
            let value = i / (run * shape.channels() as usize) * run + i % run;
            let x = if value == position { x + self.outlier } else { x };
            (self.offset + self.scale * x).clamp(-most, most)
        })
    }
}

/// Two to four dimensions whose product stays small, most of them so that each is met at 1 and at odd sizes.
pub fn dims() -> impl Strategy<Value = (Vec<usize>, usize)> {
    let dim = || prop_oneof![4 => 1usize..=9, 3 => 1usize..=40, 1 => Just(64usize), 1 => 100usize..=300];
    let rank = prop::collection::vec(dim(), 2..=4);
    let small = rank.prop_filter("too large", |dims| dims.iter().product::<usize>() <= 60_000);
    let with_axis = small.prop_flat_map(|dims| (Just(dims.clone()), 0..dims.len()));
    prop_oneof![
        30 => with_axis.clone(),
        1 => with_axis.prop_map(|(mut dims, axis)| {
            let other = (axis + 1) % dims.len();
            dims[other] = 0;
            (dims, axis)
        }),
    ]
}

pub fn magnitude(range: std::ops::Range<f64>) -> impl Strategy<Value = f64> {
    (range, any::<bool>()).prop_map(|(exponent, negative)| {
        let value = 10f64.powf(exponent);
        if negative { -value } else { value }
    })
}

fn descriptions() -> impl Strategy<Value = Description> {
    let variance = prop_oneof![Just(RunningVariance::Unbiased), Just(RunningVariance::Biased)];
    let momentum = prop_oneof![Just(0.1f32), Just(0.0), Just(1.0), -2f32..2.0];
    let running = (momentum, variance).prop_map(|(momentum, variance)| RunningStatistics {
        momentum: Momentum::OfNew(momentum),
        variance,
        ..Default::default()
    });
    let gradients = (1u8..8).prop_map(|bits| Gradients {
        dx: bits & 1 != 0,
        dgamma: bits & 2 != 0,
        dbeta: bits & 4 != 0,
        dresidual: false,
    });
    let options = (
        prop::sample::select(Dtype::ALL.to_vec()),
        prop::sample::select(Affine::ALL.to_vec()),
        prop::option::weighted(0.7, running),
        gradients,
        prop::sample::select(Layout::ALL.to_vec()),
        prop::sample::select(vec![1e-5f32, 1e-3, 1e-12, 1.0]),
    );
    let data = (
        prop_oneof![1 => Just(0.0), 4 => magnitude(0.0..6.0)],
        (-3f64..3.0).prop_map(|exponent| 10f64.powf(exponent)),
        prop_oneof![3 => Just(0.0), 1 => magnitude(1.0..4.0)],
        any::<u64>(),
    );
    (dims(), options, data).prop_map(|((dims, axis), options, (offset, scale, outlier, seed))| {
        let (dtype, affine, running, gradients, layout, eps) = options;
        Description {
            dims,
            axis,
            dtype,
            affine,
            running,
            gradients,
            layout,
            eps,
            offset,
            scale,
            outlier,
            seed,
        }
    })
}

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(value) => value.parse().unwrap_or_else(|_| panic!("{name} is {value}, needs to be a number")),
        Err(_) => default,
    }
}

fn run_all(test: impl Fn(&Description) -> Result<(), String>) {
    run(CASES, descriptions(), test);
}

/// Tests so many cases, if the environment does not say how many.
pub fn run<D: Clone + std::fmt::Debug>(
    cases: u32,
    descriptions: impl Strategy<Value = D>,
    test: impl Fn(&D) -> Result<(), String>,
) {
    let (cases, seed) = (number("PROPTEST_CASES", cases.into()) as u32, number("PROPTEST_RNG_SEED", SEED));
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: 500,
        ..Config::default()
    };
    let outcome = TestRunner::new(config)
        .run(&descriptions, |description| test(&description).map_err(TestCaseError::fail));
    if let Err(error) = outcome {
        panic!("PROPTEST_RNG_SEED={seed} PROPTEST_CASES={cases}: {error}");
    }
}

/// The bounds of `check` for any data: those that the crate promises, with what outliers and cancelling sums add.
/// One value per channel is refused, and nothing else is.
fn training_and_backward(gpu: &Gpu) {
    run_all(|description| {
        let Description { affine, running, gradients, layout, eps, .. } = *description;
        let case = description.case();
        let options = TrainingOptions { eps, affine, running, ..Default::default() };
        let layer = Training::new(&gpu.context, &case.shape, options);
        if case.shape.values_per_channel() == 1 {
            return layer.map_or(Ok(()), |layer| Err(format!("{} was taken", layer.plan())));
        }
        let layer = layer.map_err(|error| error.to_string())?;
        let trained = run::training(gpu, &layer, &case, &options, layout);
        check::training(&case, &options, &trained)?;
        for layer in run::trainings(gpu, &case.shape, &options) {
            let trained = run::training(gpu, &layer, &case, &options, layout);
            check::training(&case, &options, &trained)
                .map_err(|wrong| format!("{}: {wrong}", layer.plan()))?;
        }
        let options = BackwardOptions { affine, gradients, ..Default::default() };
        let saved = if case.shape.is_empty() { case.saved(eps) } else { trained.saved };
        for layer in run::backwards(gpu, &case.shape, &options) {
            let differentiated = run::backward(gpu, &layer, &case, &saved, &options, layout);
            check::backward(&case, &options, eps, Data::Any, &differentiated)
                .map_err(|wrong| format!("{}: {wrong}", layer.plan()))?;
        }
        Ok(())
    });
}

/// The bound of `check`, relative to what is left after the running mean is subtracted.
fn inference(gpu: &Gpu) {
    run_all(|description| {
        let Description { affine, layout, eps, offset, scale, .. } = *description;
        let mut case = description.case();
        case.running.mean.iter_mut().for_each(|mean| *mean = offset + scale * *mean);
        case.running.variance.iter_mut().for_each(|variance| *variance *= scale * scale);
        case.running.mean = run::round(&case.running.mean);
        case.running.variance = run::round(&case.running.variance);
        let options = InferenceOptions { affine, eps, ..Default::default() };
        check::inference(&case, &options, &run::inference(gpu, &case, options, layout))
    });
}
