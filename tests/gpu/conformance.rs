//! The vectors of 25 other projects, each within the tolerance of its source.

use std::fmt::{Display, Formatter};
use std::sync::Once;

use wgpu_batchnorm::reference::{self, Statistics};
use wgpu_batchnorm::{
    Activation, Affine, Backward, BackwardOptions, Dtype, Error, FrozenBackward, Gradients, InferenceOptions,
    Layer, Momentum, Plan, RunningStatistics, RunningVariance, SavedStatistics, Shape, Strategy, Training,
    TrainingOptions,
};

use crate::Test;
use crate::support::arena::Layout;
use crate::support::case::Case;
use crate::support::check::Verdict;
use crate::support::gpu::Gpu;
use crate::support::run::{self, Differentiated, Trained};
use crate::support::surface::Surface;
use crate::support::vectors::{self, BackwardStatistics, Estimator, Mode, Vector};

pub const TESTS: &[Test] = &[("vectors", vectors)];

/// All there are.
const VECTORS: usize = 316;

/// Those that are run, on every device.
const RUN: usize = VECTORS - NOT_RUN.len();

/// Why a vector is not run. The test holds each reason against the vector.
#[derive(Clone, Copy)]
enum Why {
    /// This crate refuses its eps.
    EpsRefused,
    /// It asks for something that no operation of this crate does.
    NotBuilt(&'static str),
    /// It expects something else than the reference gives, by more than its tolerance.
    NoOracle(&'static str),
}

impl Display for Why {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::EpsRefused => {
                f.write_str("it trains with an eps of 0 or below, which is refused as PyTorch refuses it")
            }
            Self::NotBuilt(what) => write!(f, "it asks for {what}"),
            Self::NoOracle(why) => f.write_str(why),
        }
    }
}

/// The vectors that are not run, by name: what is neither run nor here fails, and so does what is here and not there.
const NOT_RUN: [(&str, Why); 7] = [
    ("ort/BatchNorm2d_bfloat16", Why::NotBuilt("storage as bfloat16")),
    // Training with eps of 0 or below: PyTorch refuses it too.
    ("xla/LargeEpsilonTest", Why::EpsRefused),
    ("xla/SpecComparisonForward", Why::EpsRefused),
    ("stablehlo/batch_norm_training", Why::EpsRefused),
    ("ngraph/training_0eps mean_variance", Why::EpsRefused),
    ("ngraph/training_0eps gamma_beta", Why::EpsRefused),
    ("xla/TrainingLargeInputs", Why::NoOracle("its y is what a mean rounded to one f32 makes of it")),
];

/// Every vector is run, or is in the list with its reason; together they are all there are. What is run is within the
/// tolerance of its source, by every strategy.
fn vectors(gpu: &Gpu) {
    let vectors = vectors::load();
    assert_eq!(vectors.len(), VECTORS);
    for (name, _) in NOT_RUN {
        let times = vectors.iter().filter(|vector| vector.name == name).count();
        assert_eq!(times, 1, "{name}: listed, and there {times} times");
    }
    let (mut run, mut wrong) = (0, Vec::new());
    for (index, vector) in vectors.iter().enumerate() {
        let verdict = match NOT_RUN.iter().find(|(name, _)| *name == vector.name) {
            Some((_, why)) => justified(gpu, vector, *why),
            None => {
                run += 1;
                hold(gpu, vector, Layout::ALL[index % 2])
            }
        };
        wrong.extend(verdict.err().map(|message| format!("{}: {message}", vector.name)));
    }
    assert!(wrong.is_empty(), "{} of {VECTORS} vectors:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(run, RUN);
    let listed = NOT_RUN.len();
    println!("{}: {run} of {VECTORS} conformance vectors run, {listed} not", gpu.name());
    // The same ones on every device.
    static LISTED: Once = Once::new();
    LISTED.call_once(|| {
        for (name, why) in NOT_RUN {
            println!("not run: {name}: {why}");
        }
    });
}

/// The reason why a vector is not run holds.
fn justified(gpu: &Gpu, vector: &Vector, why: Why) -> Verdict {
    let holds = match why {
        Why::EpsRefused => {
            let options = TrainingOptions { eps: vector.eps, ..TrainingOptions::default() };
            let refused = Plan::training(&shape(vector), &options, gpu.context.caps());
            vector.mode == Mode::Train && matches!(refused, Err(Error::Eps { .. }))
        }
        Why::NotBuilt(_) => vector.dtype == "bf16",
        Why::NoOracle(_) => {
            let Case { shape, x, gamma, beta, .. } = case(vector);
            let batch = reference::statistics(&shape, &x).expect("lengths");
            let y = reference::normalize(&shape, &x, &batch, Some(&gamma), Some(&beta), vector.eps.into());
            let y = y.expect("lengths");
            expect(vector, shape.dtype(), &[("y", &y, &vector.expected_y)]).is_err()
        }
    };
    if holds { Ok(()) } else { Err(format!("listed because {why}, which is not so")) }
}

/// Runs a vector, and compares all that it expects.
fn hold(gpu: &Gpu, vector: &Vector, layout: Layout) -> Verdict {
    let activation = match (vector.activation.as_deref(), vector.mode) {
        (None, _) => Activation::Identity,
        (Some("relu"), Mode::Inference) => Activation::Relu,
        (Some(activation), _) => return Err(format!("has the activation {activation}, and is not listed")),
    };
    let case = case(vector);
    match vector.mode {
        Mode::Train => {
            let options = training_options(vector);
            for strategy in Strategy::ALL {
                let Some(trained) = train(gpu, strategy, vector, &case, &options, layout) else { continue };
                hold_trained(vector, &case, &trained).map_err(|wrong| format!("{strategy}: {wrong}"))?;
            }
            Ok(())
        }
        Mode::Inference => {
            let options = InferenceOptions {
                eps: vector.eps,
                affine: affine(vector),
                activation,
                ..Default::default()
            };
            let y = run::inference(gpu, &case, options, layout);
            expect(vector, case.shape.dtype(), &[("y", &y, &vector.expected_y)])
        }
        Mode::Backward if vector.bwd_stats == Some(BackwardStatistics::Eval) => {
            let actual = frozen(gpu, vector, &case, layout);
            hold_gradients(vector, &case, &actual)?;
            hold_statistics_gradients(vector, &case, &actual)
        }
        Mode::Backward => {
            for strategy in Strategy::ALL {
                let gradients = differentiate(gpu, strategy, vector, &case, layout);
                let Some(gradients) = gradients else { continue };
                hold_gradients(vector, &case, &gradients).map_err(|wrong| format!("{strategy}: {wrong}"))?;
            }
            Ok(())
        }
    }
}

/// As many steps as the vector asks for, on the same batch.
fn train(
    gpu: &Gpu,
    strategy: Strategy,
    vector: &Vector,
    case: &Case,
    options: &TrainingOptions,
    layout: Layout,
) -> Option<Trained> {
    let plan = run::served(Plan::training_by(strategy, &case.shape, options, gpu.context.caps()))?;
    let layer = Training::from_plan(&gpu.context, plan).expect("a layer");
    let mut trained = run::training(gpu, &layer, case, options, layout);
    for _ in 1..vector.steps.unwrap_or(1) {
        let case = Case { running: trained.running, ..case.clone() };
        trained = run::training(gpu, &layer, &case, options, layout);
    }
    Some(trained)
}

fn hold_trained(vector: &Vector, case: &Case, trained: &Trained) -> Verdict {
    let column = |value: fn(&SavedStatistics) -> f64| trained.saved.iter().map(value).collect::<Vec<_>>();
    expect(vector, case.shape.dtype(), &[("y", &trained.y, &vector.expected_y)]).and_then(|()| {
        expect(
            vector,
            Dtype::F32,
            &[
                ("running mean", &trained.running.mean, &vector.expected_running_mean),
                ("running variance", &trained.running.variance, &vector.expected_running_var),
                ("batch mean", &column(SavedStatistics::mean), &vector.expected_batch_mean),
                ("batch variance", &column(|saved| saved.variance.into()), &vector.expected_batch_var),
                ("invstd", &column(|saved| saved.invstd.into()), &vector.expected_invstd),
            ],
        )
    })
}

/// A backward pass by the statistics of the batch, which a forward pass has saved, or by those given.
fn differentiate(
    gpu: &Gpu,
    strategy: Strategy,
    vector: &Vector,
    case: &Case,
    layout: Layout,
) -> Option<Differentiated> {
    let saved = match vector.bwd_stats {
        Some(BackwardStatistics::Saved) => {
            let (mean, invstd) = (vector.saved_mean.as_ref(), vector.saved_invstd.as_ref());
            let pairs = mean.expect("saved_mean").iter().zip(invstd.expect("saved_invstd"));
            pairs.map(|(&mean, &invstd)| saved(mean, invstd)).collect()
        }
        _ => {
            let options = TrainingOptions { running: None, ..training_options(vector) };
            train(gpu, strategy, vector, case, &options, layout)?.saved
        }
    };
    let options =
        BackwardOptions { affine: affine(vector), gradients: gradients(vector), ..Default::default() };
    let plan = run::served(Plan::backward_by(strategy, &case.shape, &options, gpu.context.caps()))?;
    let layer = Backward::from_plan(&gpu.context, plan).expect("a layer");
    Some(run::backward(gpu, &layer, case, &saved, &options, layout))
}

/// The backward pass of inference, where the statistics are constants.
fn frozen(gpu: &Gpu, vector: &Vector, case: &Case, layout: Layout) -> Differentiated {
    let (gradients, affine, eps) = (gradients(vector), affine(vector), vector.eps);
    let layer = Layer { eps, affine, ..Layer::default() };
    let surface =
        Surface { case: case.clone(), residual: Vec::new(), layer, gradients, layout, in_place: false };
    let operation = FrozenBackward::new(&gpu.context, &case.shape, layer.frozen_backward(gradients));
    let actual = surface.frozen_gradients(gpu, &operation.expect("a layer"));
    let [dx, dgamma, dbeta] = [actual.dx, actual.dgamma, actual.dbeta].map(Option::unwrap_or_default);
    Differentiated { dx, dgamma, dbeta, bits: Vec::new() }
}

/// The gradients of the running statistics, as the documentation of `FrozenBackward` has them follow from the others.
fn hold_statistics_gradients(vector: &Vector, case: &Case, actual: &Differentiated) -> Verdict {
    if vector.expected_dmean.is_none() && vector.expected_dvar.is_none() {
        return Ok(());
    }
    let gamma = |c: usize| case.gamma(affine(vector)).map_or(1.0, |gamma| gamma[c]);
    let invstd = |c: usize| 1.0 / (case.running.variance[c] + f64::from(vector.eps)).sqrt();
    let of = |gradient: &[f64], by: &dyn Fn(usize) -> f64| -> Vec<f64> {
        gradient.iter().enumerate().map(|(c, gradient)| gradient * by(c)).collect()
    };
    let dmean = of(&actual.dbeta, &|c| -gamma(c) * invstd(c));
    let dvar = of(&actual.dgamma, &|c| -0.5 * gamma(c) * invstd(c).powi(2));
    let of_statistics = [("dmean", &dmean, &vector.expected_dmean), ("dvar", &dvar, &vector.expected_dvar)];
    expect(
        vector,
        Dtype::F32,
        &of_statistics.map(|(name, actual, expected)| (name, actual.as_slice(), expected)),
    )
}

fn hold_gradients(vector: &Vector, case: &Case, actual: &Differentiated) -> Verdict {
    expect(vector, case.shape.dtype(), &[("dx", &actual.dx, &vector.expected_dx)])?;
    let of_parameters = [
        ("dgamma", &actual.dgamma, &vector.expected_dgamma),
        ("dbeta", &actual.dbeta, &vector.expected_dbeta),
    ];
    expect(
        vector,
        Dtype::F32,
        &of_parameters.map(|(name, actual, expected)| (name, actual.as_slice(), expected)),
    )
}

/// A result's name, its values, and what a vector expects of it.
type Expectation<'a> = (&'a str, &'a [f64], &'a Option<Vec<f64>>);

/// What is expected is within the tolerance of the vector's source.
fn expect(vector: &Vector, dtype: Dtype, results: &[Expectation<'_>]) -> Verdict {
    results.iter().try_for_each(|(name, actual, expected)| match expected {
        Some(expected) => vector.tolerance.hold(name, dtype, actual, expected),
        None => Ok(()),
    })
}

/// Storage as in the source, but for f64, which is run in f32: the tolerances allow for it. A tensor of one dimension
/// with its channels along it is one row of a matrix.
fn shape(vector: &Vector) -> Shape {
    let dtype = match vector.dtype.as_str() {
        "f32" | "f64" => Dtype::F32,
        dtype if dtype.starts_with("f16") => Dtype::F16,
        dtype => panic!("{}: storage as {dtype}, and is not listed", vector.name),
    };
    let shape = match vector.shape[..] {
        [channels] => Shape::new(&[1, channels], 1, dtype),
        _ => Shape::new(&vector.shape, vector.channel_axis, dtype),
    };
    shape.expect("a shape")
}

fn case(vector: &Vector) -> Case {
    let shape = shape(vector);
    let channels = shape.channels() as usize;
    let given =
        |values: &Option<Vec<f64>>, neutral| values.clone().unwrap_or_else(|| vec![neutral; channels]);
    let dy = vector.dy.clone().unwrap_or_else(|| vec![0.0; vector.x.len()]);
    let running =
        Statistics { mean: given(&vector.running_mean, 0.0), variance: given(&vector.running_var, 1.0) };
    Case::new(shape, &vector.x, &dy, given(&vector.gamma, 1.0), given(&vector.beta, 0.0), running)
}

fn affine(vector: &Vector) -> Affine {
    match (vector.gamma.is_some(), vector.beta.is_some()) {
        (true, true) => Affine::GammaBeta,
        (true, false) => Affine::Gamma,
        (false, true) => Affine::Beta,
        (false, false) => Affine::None,
    }
}

fn gradients(vector: &Vector) -> Gradients {
    Gradients {
        dx: vector.expected_dx.is_some(),
        dgamma: vector.expected_dgamma.is_some(),
        dbeta: vector.expected_dbeta.is_some(),
        dresidual: false,
    }
}

fn training_options(vector: &Vector) -> TrainingOptions {
    let variance = match vector.running_var_estimator {
        Some(Estimator::Biased) => RunningVariance::Biased,
        _ => RunningVariance::Unbiased,
    };
    let tracked = vector.running_mean.is_some() && vector.running_var.is_some();
    let running = tracked.then(|| {
        let momentum = vector.momentum.expect("running statistics with a momentum");
        RunningStatistics { momentum: Momentum::OfNew(momentum), variance, ..Default::default() }
    });
    TrainingOptions { eps: vector.eps, affine: affine(vector), running, ..Default::default() }
}

/// A record of given statistics; the backward pass has no use for the variance.
fn saved(mean: f64, invstd: f64) -> SavedStatistics {
    let pivot = mean as f32;
    let difference = (mean - f64::from(pivot)) as f32;
    SavedStatistics { pivot, difference, variance: f32::NAN, invstd: invstd as f32 }
}
