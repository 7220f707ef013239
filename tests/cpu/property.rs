//! Random shapes, options and data against the reference: the same cases every time.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use wgpu_batchnorm::{
    Affine, BackwardOptions, Dtype, Error, Gradients, InferenceOptions, Momentum, RunningStatistics,
    RunningVariance, Shape, TrainingOptions,
};

use crate::support::case::{Case, round};
use crate::support::check::{self, Data};
use crate::support::run;

const CASES: u32 = 1000;
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

/// Two to four dimensions, some of them above what one thread does, and now and then an empty one.
fn dims() -> impl Strategy<Value = (Vec<usize>, usize)> {
    let dim = || prop_oneof![4 => 1usize..=9, 3 => 1usize..=70, 1 => 100usize..=900];
    let rank = prop::collection::vec(dim(), 2..=4);
    let small = rank.prop_filter("too large", |dims| dims.iter().product::<usize>() <= 150_000);
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

fn magnitude(range: std::ops::Range<f64>) -> impl Strategy<Value = f64> {
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
        prop::sample::select(vec![1e-5f32, 1e-3, 1e-12, 1.0]),
    );
    let data = (
        prop_oneof![1 => Just(0.0), 4 => magnitude(0.0..6.0)],
        (-3f64..3.0).prop_map(|exponent| 10f64.powf(exponent)),
        prop_oneof![3 => Just(0.0), 1 => magnitude(1.0..4.0)],
        any::<u64>(),
    );
    (dims(), options, data).prop_map(|((dims, axis), options, (offset, scale, outlier, seed))| {
        let (dtype, affine, running, gradients, eps) = options;
        Description { dims, axis, dtype, affine, running, gradients, eps, offset, scale, outlier, seed }
    })
}

fn run_all(test: impl Fn(&Description) -> Result<(), String>) {
    let config = Config {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(CASES),
        rng_seed: RngSeed::Fixed(SEED),
        failure_persistence: None,
        max_shrink_iters: 500,
        ..Config::default()
    };
    let outcome = TestRunner::new(config)
        .run(&descriptions(), |description| test(&description).map_err(TestCaseError::fail));
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// One value per channel is refused, and nothing else is.
#[test]
fn training_and_backward() {
    run_all(|description| {
        let Description { affine, running, gradients, eps, .. } = *description;
        let case = description.case();
        let options = TrainingOptions { eps, affine, running, ..Default::default() };
        let of_backward = BackwardOptions { affine, gradients, ..Default::default() };
        let trained = run::training(&case, &options);
        if case.shape.values_per_channel() == 1 {
            let backward = run::backward(&case, &case.saved(eps), &of_backward);
            let refused = |error: Option<Error>| matches!(error, Some(Error::TooFewValues { .. }));
            return if refused(trained.err()) && refused(backward.err()) {
                Ok(())
            } else {
                Err("taken".into())
            };
        }
        let trained = trained.map_err(|error| error.to_string())?;
        check::training(&case, &options, &trained)?;
        let saved = if case.shape.is_empty() { case.saved(eps) } else { trained.saved };
        let differentiated = run::backward(&case, &saved, &of_backward).map_err(|error| error.to_string())?;
        check::backward(&case, &of_backward, eps, Data::Any, &differentiated)
    });
}

#[test]
fn inference() {
    run_all(|description| {
        let Description { affine, eps, offset, scale, .. } = *description;
        let mut case = description.case();
        case.running.mean.iter_mut().for_each(|mean| *mean = offset + scale * *mean);
        case.running.variance.iter_mut().for_each(|variance| *variance *= scale * scale);
        case.running.mean = round(&case.running.mean);
        case.running.variance = round(&case.running.variance);
        let options = InferenceOptions { affine, eps, ..Default::default() };
        let y = run::inference(&case, &options).map_err(|error| error.to_string())?;
        check::inference(&case, &options, &y)
    });
}
