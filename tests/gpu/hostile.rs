//! Data that breaks batch norms: far-off channels, outliers, constants, extreme scales, NaN and infinities.

use wgpu_batchnorm::reference::{self, Statistics};
use wgpu_batchnorm::{
    Affine, BackwardOptions, Dtype, InferenceOptions, Momentum, RunningStatistics, Shape, TrainingOptions,
};

use crate::Test;
use crate::support::arena::Layout;
use crate::support::case::Case;
use crate::support::check::{self, Data, hold};
use crate::support::data::Random;
use crate::support::gpu::Gpu;
use crate::support::run;

pub const TESTS: &[Test] = &[
    ("offsets", offsets),
    ("outliers", outliers),
    ("steps", steps),
    ("constant_channels", constant_channels),
    ("scales", scales),
    ("pair_gains", pair_gains),
    ("squares_overflow", squares_overflow),
    ("large_gamma", large_gamma),
    ("large_momentum", large_momentum),
    ("infinite_in_training", infinite_in_training),
    ("infinite_in_inference", infinite_in_inference),
    ("f16_rounds_to_nearest_even", f16_rounds_to_nearest_even),
    ("f16_extremes", f16_extremes),
];

/// One of each way to share a channel out: few values, many chunks, channels side by side, f16 words that straddle.
fn shapes(dtype: Dtype) -> Vec<Shape> {
    let shape = |dims: &[usize]| Shape::new(dims, 1, dtype).expect("a shape");
    vec![shape(&[8, 3, 49]), shape(&[300, 5]), shape(&[2, 2, 4160]), shape(&[9000, 3]), shape(&[64, 1, 221])]
}

/// y, dx, dgamma and dbeta keep the promised bounds at every offset from 0 to 1e6, of either sign: x - pivot is
/// exact there, so that the error does not grow with the offset. In f16, as far as it reaches.
fn offsets(gpu: &Gpu) {
    for dtype in Dtype::ALL {
        for shape in shapes(dtype) {
            for offset in [0.0f64, 1e2, 1e3, 1e4, 1e5, 1e6] {
                for offset in [offset, -offset] {
                    if dtype == Dtype::F16 && offset.abs() > 1e4 {
                        continue;
                    }
                    let case = Case::random(shape, 21, offset);
                    let options = TrainingOptions::default();
                    let step = run::step(gpu, &case, &options, Data::Plain, Layout::Separate);
                    hold(format!("{shape} at {offset:e}"), step.map(drop));
                }
            }
        }
    }
}

/// One value far from all others, wherever it is, first of its chunk or not: the bound on y grows with its x_hat
/// alone, and dx is allowed what its projection is.
fn outliers(gpu: &Gpu) {
    for dtype in Dtype::ALL {
        for shape in shapes(dtype) {
            let (m, inner) = (shape.values_per_channel() as usize, shape.inner() as usize);
            for position in [0, 1, m / 2, m - 1] {
                for (offset, outlier) in [(0.0, 3e4), (0.0, 1e6), (100.0, -6e4), (1e5, 0.0), (1e6, -1e6)] {
                    if dtype == Dtype::F16 && f64::max(offset, f64::abs(outlier)) > 65504.0 {
                        continue;
                    }
                    let case = Case::random(shape, 22, offset).with_x(|i, _, x| {
                        let channels = shape.channels() as usize;
                        let value = i / (channels * inner) * inner + i % inner;
                        if value == position { outlier } else { x }
                    });
                    let step =
                        run::step(gpu, &case, &TrainingOptions::default(), Data::Any, Layout::Separate);
                    hold(format!("{shape}: {outlier:e} at {position} of {offset:e}"), step.map(drop));
                }
            }
        }
    }
}

/// The first chunk, or half, or all but the last value at one level, the rest at another: chunks whose means are
/// far apart, so that nearly all of the variance is what the merge adds.
fn steps(gpu: &Gpu) {
    for dtype in Dtype::ALL {
        for shape in shapes(dtype) {
            let (m, inner) = (shape.values_per_channel() as usize, shape.inner() as usize);
            for (low, high) in [(0.0, 1e3), (1e3, 0.0), (-1e4, 1e4), (1e6, 1.0)] {
                if dtype == Dtype::F16 && low > 65504.0 {
                    continue;
                }
                for edge in [1, 64, 256, m / 2, m - 1] {
                    let case = Case::random(shape, 23, 0.0).with_x(|i, _, x| {
                        let channels = shape.channels() as usize;
                        let value = i / (channels * inner) * inner + i % inner;
                        if value < edge { low } else { high + x * 1e-2 }
                    });
                    let step = run::step(gpu, &case, &TrainingOptions::default(), Data::Any, Layout::Shared);
                    hold(format!("{shape}: {low:e} before {edge}, {high:e} after"), step.map(drop));
                }
            }
        }
    }
}

/// A constant channel has variance 0 exactly, its mean is its value exactly, and y is beta exactly: every deviation
/// from the chunk's origin is 0, and so is every sum of them. dgamma is 0 exactly too.
fn constant_channels(gpu: &Gpu) {
    let values = [0.0, 1.0, -3.3, 0.1, 1e6, -1e6 / 3.0, 1e-12, 1e15, 1e-30, 16_777_217.0];
    for dtype in Dtype::ALL {
        for shape in shapes(dtype) {
            for pair in values.chunks(2) {
                // Channels in turn, so that no neighbour shares the value.
                let finite =
                    |value: f64| if dtype == Dtype::F16 { value.clamp(-65504.0, 65504.0) } else { value };
                let case = Case::random(shape, 24, 0.0).with_x(|_, c, _| finite(pair[c % 2]));
                for affine in Affine::ALL {
                    let options = TrainingOptions { affine, ..Default::default() };
                    let place = format!("{shape}: constant {pair:?}");
                    let step = run::step(gpu, &case, &options, Data::Plain, Layout::Separate);
                    let (trained, gradients) = step.unwrap_or_else(|wrong| panic!("{place}: {wrong}"));
                    let beta = |i: usize| if affine.has_beta() { case.beta[case.channel(i)] } else { 0.0 };
                    let expected: Vec<f64> = (0..case.x.len()).map(beta).collect();
                    let expected = reference::stored(dtype, &expected);
                    hold(&place, check::within("y", &trained.y, &expected, |_| 0.0));
                    let exact = |saved: &wgpu_batchnorm::SavedStatistics, x: f64| {
                        saved.variance == 0.0 && saved.mean() == x
                    };
                    let inner = shape.inner() as usize;
                    let mut channels = trained.saved.iter().enumerate();
                    assert!(channels.all(|(c, saved)| exact(saved, case.x[c * inner])), "{place}: saved");
                    assert!(gradients.dgamma.iter().all(|&dgamma| dgamma == 0.0), "{place}: dgamma");
                }
            }
        }
    }
}

/// At scales of 1e-12 and 1e15 nothing under- or overflows: with an eps that is small beside the variance, x_hat is
/// what it is at scale 1 and the same bounds hold.
fn scales(gpu: &Gpu) {
    for shape in shapes(Dtype::F32) {
        for scale in [1e-12, 1e-6, 1e6, 1e15] {
            for offset in [0.0, 3.0, 1e3] {
                let case = Case::random(shape, 25, offset).with_x(|_, _, x| x * scale);
                for eps in [1e-5, 1e-30] {
                    let options = TrainingOptions { eps, ..Default::default() };
                    let step = run::step(gpu, &case, &options, Data::Plain, Layout::Separate);
                    hold(format!("{shape}: scale {scale:e}, offset {offset}, eps {eps:e}"), step.map(drop));
                }
            }
        }
    }
}

/// At offset 1e6 the pair of pivot and difference gains a factor of 100 at least over the best that one f32 mean can
/// do on the same statistics; a driver that folds the two subtractions into one would be seen here. The mean is kept
/// away from multiples of 1/16, the spacing of f32 there, where one f32 would do.
fn pair_gains(gpu: &Gpu) {
    for (dims, affine) in [(&[30_000, 1, 1], Affine::None), (&[6, 1, 5_000], Affine::GammaBeta)] {
        let shape = Shape::new(dims, 1, Dtype::F32).expect("a shape");
        let mut case = Case::random(shape, 26, 1e6 + 0.03);
        // The mean moves by 1/16 of 1/m a step.
        let mean = reference::statistics(&shape, &case.x).expect("lengths").mean[0];
        let off = (mean - 1e6 - 0.03) * f64::from(shape.values_per_channel()) * 16.0;
        case = case.with_x(|i, _, x| if (i as f64) < off.abs() { x - off.signum() / 16.0 } else { x });
        let options = TrainingOptions { affine, ..Default::default() };
        let batch = reference::statistics(&shape, &case.x).expect("lengths");
        let (gamma, beta) = (case.gamma(affine), case.beta(affine));
        let expected = reference::normalize(&shape, &case.x, &batch, gamma, beta, 1e-5).expect("lengths");
        let (gamma, beta) = (gamma.map_or(1.0, |gamma| gamma[0]), beta.map_or(0.0, |beta| beta[0]));
        let worst = |values: &mut dyn Iterator<Item = f64>| {
            values.zip(&expected).map(|(value, expected)| (value - expected).abs()).fold(0.0, f64::max)
        };
        for layer in run::trainings(gpu, &shape, &options) {
            let actual = run::training(gpu, &layer, &case, &options, Layout::Separate);
            hold(layer.plan(), check::training(&case, &options, &actual));
            let saved = actual.saved[0];
            let one_mean = saved.mean() as f32;
            let by_one_mean = case.x.iter().map(|&x| {
                let x_hat = f64::from(x as f32 - one_mean) * f64::from(saved.invstd);
                x_hat * gamma + beta
            });
            let (pair, one) = (worst(&mut actual.y.iter().copied()), worst(&mut by_one_mean.into_iter()));
            assert!(pair * 100.0 <= one, "{}: {pair:e} with the pair, {one:e} with one f32", layer.plan());
        }
    }
}

/// Finite x whose squares overflow f32: the variance is infinite, x_hat 0 and y beta, as PyTorch has it on the CPU;
/// the running mean stays finite.
fn squares_overflow(gpu: &Gpu) {
    for shape in shapes(Dtype::F32) {
        for scale in [1e20, 1e25, 1e30] {
            let case = Case::random(shape, 27, 0.0);
            let case = case.with_x(|_, c, x| if c == 0 { x.signum() * scale } else { x });
            let options = TrainingOptions::default();
            for layer in run::trainings(gpu, &shape, &options) {
                let actual = run::training(gpu, &layer, &case, &options, Layout::Separate);
                let place = format!("{} at {scale:e}", layer.plan());
                let wrong = (0..case.x.len()).find(|&i| case.channel(i) == 0 && actual.y[i] != case.beta[0]);
                assert!(wrong.is_none(), "{place}: y at {wrong:?}, saved {:?}", actual.saved[0]);
                let variances = (actual.saved[0].variance, actual.running.variance[0]);
                assert!(variances == (f32::INFINITY, f64::INFINITY), "{place}: {variances:?}");
                assert!(actual.running.mean[0].is_finite(), "{place}");
            }
        }
    }
}

/// Near the largest f32, gamma times invstd overflows while gamma times x_hat need not: y of a constant channel is
/// beta, and the bound of the others holds.
fn large_gamma(gpu: &Gpu) {
    let shape = Shape::new(&[8, 4, 49], 1, Dtype::F32).expect("a shape");
    let mut case = Case::random(shape, 30, 1.0).with_x(|_, c, x| if c == 0 { 2.5 } else { x * 1e-6 });
    case.gamma.fill(f64::from(1e37f32));
    let options = TrainingOptions::default();
    for layer in run::trainings(gpu, &shape, &options) {
        let actual = run::training(gpu, &layer, &case, &options, Layout::Separate);
        hold(layer.plan(), check::training(&case, &options, &actual));
        let wrong = (0..case.x.len()).find(|&i| case.channel(i) == 0 && actual.y[i] != case.beta[0]);
        assert_eq!(wrong, None, "a constant channel: {}", layer.plan());
    }
}

/// PyTorch takes any momentum: the bound of the running statistics is relative to the terms that it makes large.
fn large_momentum(gpu: &Gpu) {
    for momentum in [-1e6, 1e10, 1e30] {
        let shape = Shape::new(&[8, 4, 49], 1, Dtype::F32).expect("a shape");
        let running = Some(RunningStatistics { momentum: Momentum::OfNew(momentum), ..Default::default() });
        let options = TrainingOptions { running, ..Default::default() };
        let case = Case::random(shape, 28, 1.0);
        for layer in run::trainings(gpu, &shape, &options) {
            let actual = run::training(gpu, &layer, &case, &options, Layout::Shared);
            hold(format!("{} {momentum}", layer.plan()), check::training(&case, &options, &actual));
        }
    }
}

/// NaN and infinities stay in their channel: its y is NaN throughout, its running variance NaN, and its running mean
/// NaN, or the infinity where there is no other kind: PyTorch's answers. Its dx and dgamma are NaN, its dbeta is not.
/// Every other channel has the bits that it has without them.
fn infinite_in_training(gpu: &Gpu) {
    for shape in Dtype::ALL.into_iter().flat_map(shapes) {
        let trainings = run::trainings(gpu, &shape, &TrainingOptions::default());
        let backwards = run::backwards(gpu, &shape, &BackwardOptions::default());
        for (i, layer) in trainings.iter().enumerate() {
            let backward = &backwards[i.min(backwards.len() - 1)];
            let (m, inner) = (shape.values_per_channel() as usize, shape.inner() as usize);
            let (nan, inf) = (f64::NAN, f64::INFINITY);
            let options = TrainingOptions::default();
            let case = Case::random(shape, 29, 1.0);
            let clean = run::training(gpu, layer, &case, &options, Layout::Separate);
            let of_backward = BackwardOptions::default();
            let clean_gradients =
                run::backward(gpu, backward, &case, &clean.saved, &of_backward, Layout::Shared);
            let hit = (shape.channels() - 1) as usize;
            for (bad, mean) in [
                (vec![(0, nan)], nan),
                (vec![(m - 1, nan)], nan),
                (vec![(0, inf)], inf),
                (vec![(m / 2, inf)], inf),
                (vec![(m - 1, -inf)], -inf),
                (vec![(0, inf), (m - 1, inf)], inf),
                (vec![(0, inf), (1, -inf)], nan),
                (vec![(0, inf), (m - 1, -inf)], nan),
                (vec![(0, -inf), (m / 2, nan)], nan),
                (vec![(m / 2, nan), (m - 1, inf)], nan),
            ] {
                let place = format!("{} with {bad:?}", layer.plan());
                let case = case.clone().with_x(|i, c, x| {
                    let value = i / (shape.channels() as usize * inner) * inner + i % inner;
                    let found = bad.iter().find(|(at, _)| c == hit && *at == value);
                    found.map_or(x, |(_, bad)| *bad)
                });
                let actual = run::training(gpu, layer, &case, &options, Layout::Separate);
                for (i, (&y, &clean)) in actual.y.iter().zip(&clean.y).enumerate() {
                    let right = if case.channel(i) == hit { y.is_nan() } else { y == clean };
                    assert!(right, "{place}: y is {y} at {i}");
                }
                let Statistics { mean: means, variance: variances } = &actual.running;
                hold(&place, check::within("running mean", &means[hit..], &[mean], |_| 0.0));
                assert!(variances[hit].is_nan(), "{place}: running variance is {}", variances[hit]);
                let gradients =
                    run::backward(gpu, backward, &case, &actual.saved, &of_backward, Layout::Shared);
                for (i, (&dx, &clean)) in gradients.dx.iter().zip(&clean_gradients.dx).enumerate() {
                    let right = if case.channel(i) == hit { dx.is_nan() } else { dx == clean };
                    assert!(right, "{place}: dx is {dx} at {i}");
                }
                assert!(gradients.dgamma[hit].is_nan(), "{place}: dgamma is {}", gradients.dgamma[hit]);
                assert_eq!(gradients.dgamma[..hit], clean_gradients.dgamma[..hit], "{place}");
                assert_eq!(gradients.dbeta, clean_gradients.dbeta, "{place}: dbeta does not see x");
                assert_eq!(actual.saved[..hit], clean.saved[..hit], "{place}");
                assert_eq!(means[..hit], clean.running.mean[..hit], "{place}");
                assert_eq!(variances[..hit], clean.running.variance[..hit], "{place}");
            }
        }
    }
}

/// In inference each value is on its own: NaN stays NaN, an infinity keeps or turns its sign with gamma's, all
/// others have the bits that they have without them, and an infinite running variance gives beta exactly.
fn infinite_in_inference(gpu: &Gpu) {
    for dtype in Dtype::ALL {
        for shape in shapes(dtype) {
            let options = InferenceOptions::default();
            let mut case = Case::random(shape, 30, 1.0);
            let last = (shape.channels() - 1) as usize;
            let clean = run::inference(gpu, &case, options, Layout::Separate);
            let bad = |i: usize| match i % 11 {
                3 => Some(f64::NAN),
                5 => Some(f64::INFINITY),
                7 => Some(f64::NEG_INFINITY),
                _ => None,
            };
            case = case.with_x(|i, _, x| bad(i).unwrap_or(x));
            let expected: Vec<f64> = (0..case.x.len())
                .map(|i| bad(i).map_or(clean[i], |bad| bad * case.gamma[case.channel(i)]))
                .collect();
            let y = run::inference(gpu, &case, options, Layout::Separate);
            hold(shape, check::within("y", &y, &expected, |_| 0.0));

            case = Case::random(shape, 30, 1.0);
            case.running.variance[last] = f64::INFINITY;
            let y = run::inference(gpu, &case, options, Layout::Separate);
            let beta = reference::stored(dtype, &case.beta)[last];
            let right = |i: usize| y[i] == if case.channel(i) == last { beta } else { clean[i] };
            assert!((0..y.len()).all(right), "{shape}: infinite running variance");
        }
    }
}

/// Every one of the 65 536 f16 values, scaled so that results fall on ties, among the subnormals and beyond the
/// largest: y is the f32 result of the same device rounded to nearest even, as the CPU rounds it, bit by bit.
fn f16_rounds_to_nearest_even(gpu: &Gpu) {
    let shape = Shape::new(&[65_536, 1], 1, Dtype::F16).expect("a shape");
    let all: Vec<f64> = (0..=u16::MAX).map(|bits| half::f16::from_bits(bits).to_f64()).collect();
    let options = InferenceOptions { eps: 0.0, affine: Affine::Gamma, ..Default::default() };
    let tie = 1.0 + 2f64.powi(-11);
    for gamma in
        [1.0, -1.0, tie, 3.0 * tie, 1.0 / 3.0, 2f64.powi(-10), tie * 2f64.powi(-12), 1.001, 7.0, 1e-9]
    {
        let gamma = run::round(&[gamma]);
        let one = Statistics { mean: vec![0.0], variance: vec![1.0] };
        let case = Case::new(shape, &all, &all, gamma.clone(), vec![0.0], one);
        let y = run::inference(gpu, &case, options, Layout::Separate);
        let wide = run::inference(gpu, &case.widened(), options, Layout::Separate);
        hold(format!("gamma {gamma:?}"), check::rounded_once("y", &y, &wide));
        // The device's own f32 is right as well: a product of two f32, and nothing else.
        let product: Vec<f64> = case.x.iter().map(|x| f64::from((x * gamma[0]) as f32)).collect();
        hold(
            format!("gamma {gamma:?} in f32"),
            check::within("y", &wide, &product, |i| (product[i].abs() * 4.0 * check::U).max(0.0)),
        );
    }
}

/// The ends of f16: its largest and its subnormal values as x, and a y beyond the largest, which is infinite. The
/// bounds are those of any other data.
fn f16_extremes(gpu: &Gpu) {
    for shape in shapes(Dtype::F16) {
        let tiny = 2f64.powi(-24);
        for (name, low, high) in [("largest", -65504.0, 65504.0), ("subnormal", tiny, 3.0 * tiny)] {
            let mut random = Random::new(31);
            let signs: Vec<bool> = (0..shape.len()).map(|_| random.bits() & 1 == 0).collect();
            let mut case = Case::random(shape, 31, 0.0).with_x(|i, _, _| if signs[i] { low } else { high });
            for eps in [1e-5, 1e-12] {
                let options = TrainingOptions { eps, ..Default::default() };
                let step = run::step(gpu, &case, &options, Data::Plain, Layout::Shared);
                hold(format!("{shape}: {name}, eps {eps:e}"), step.map(drop));
            }
            case.gamma.fill(1e5);
            for layer in run::trainings(gpu, &shape, &TrainingOptions::default()) {
                let actual = run::training(gpu, &layer, &case, &TrainingOptions::default(), Layout::Shared);
                hold(layer.plan(), check::training(&case, &TrainingOptions::default(), &actual));
                let infinite = actual.y.iter().filter(|y| y.is_infinite()).count();
                assert_eq!(infinite > 0, name == "largest", "{}: {infinite} infinite", layer.plan());
            }
        }
    }
}
