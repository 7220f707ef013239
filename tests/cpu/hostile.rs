//! Data that breaks batch norms: far-off channels, outliers, steps, constants, extreme scales, NaN and infinities.

use wgpu_batchnorm::reference::{self, Statistics};
use wgpu_batchnorm::{
    Affine, BackwardOptions, Dtype, InferenceOptions, Momentum, RunningStatistics, Shape, TrainingOptions,
};

use crate::support::case::Case;
use crate::support::check::{self, Data, hold};
use crate::support::data::Random;
use crate::support::run::{self, shape};

/// Both kernels, alone and in parallel, with tiles of whole channels and without.
fn shapes(dtype: Dtype) -> Vec<Shape> {
    let extents = [
        (8, 3, 49),
        (300, 5, 1),
        (2, 2, 4160),
        (9000, 3, 1),
        (64, 1, 221),
        (20, 40, 51),
        (3, 2, 30_000),
        (400, 100, 3),
    ];
    extents.map(|(outer, channels, inner)| shape(outer, channels, inner, dtype)).to_vec()
}

/// The place of a value among those of its channel.
fn value(shape: &Shape, i: usize) -> usize {
    let (channels, inner) = (shape.channels() as usize, shape.inner() as usize);
    i / (channels * inner) * inner + i % inner
}

#[track_caller]
fn step(
    place: impl std::fmt::Display,
    case: &Case,
    options: &TrainingOptions,
    data: Data,
) -> (run::Trained, run::Differentiated) {
    run::step(case, options, data).unwrap_or_else(|wrong| panic!("{place}: {wrong}"))
}

#[test]
fn offsets() {
    for dtype in Dtype::ALL {
        for shape in shapes(dtype) {
            for offset in [0.0f64, 1e2, -1e3, 1e4, -1e5, 1e6] {
                if dtype == Dtype::F16 && offset.abs() > 1e4 {
                    continue;
                }
                let case = Case::random(shape, 21, offset);
                step(format!("{shape} at {offset:e}"), &case, &TrainingOptions::default(), Data::Plain);
            }
        }
    }
}

/// One value far from all others, first of its block or not.
#[test]
fn outliers() {
    for dtype in Dtype::ALL {
        for shape in shapes(dtype) {
            let m = shape.values_per_channel() as usize;
            for position in [0, 1, m / 2, m - 1] {
                for (offset, outlier) in [(0.0, 3e4), (0.0, 1e6), (100.0, -6e4), (1e5, 0.0), (1e6, -1e6)] {
                    if dtype == Dtype::F16 && f64::max(offset, f64::abs(outlier)) > 65504.0 {
                        continue;
                    }
                    let case = Case::random(shape, 22, offset);
                    let case = case.with_x(|i, _, x| if value(&shape, i) == position { outlier } else { x });
                    let place = format!("{shape}: {outlier:e} at {position} of {offset:e}");
                    step(place, &case, &TrainingOptions::default(), Data::Any);
                }
            }
        }
    }
}

/// Blocks whose means are far apart, so that the pivot of one is no good for the next.
#[test]
fn steps() {
    for dtype in Dtype::ALL {
        for shape in shapes(dtype) {
            let m = shape.values_per_channel() as usize;
            for (low, high) in [(0.0, 1e3), (1e3, 0.0), (-1e4, 1e4), (1e6, 1.0)] {
                if dtype == Dtype::F16 && low > 65504.0 {
                    continue;
                }
                for edge in [1, 64, 256, 300, m / 2, m - 1] {
                    let case = Case::random(shape, 23, 0.0)
                        .with_x(|i, _, x| if value(&shape, i) < edge { low } else { high + x * 1e-2 });
                    let place = format!("{shape}: {low:e} before {edge}, {high:e} after");
                    step(place, &case, &TrainingOptions::default(), Data::Any);
                }
            }
        }
    }
}

/// A channel that drifts: every block lies further from the first pivot.
#[test]
fn drifts() {
    for shape in shapes(Dtype::F32) {
        for slope in [1e-2, 1.0, 1e2] {
            let case = Case::random(shape, 33, 1e5);
            let case = case.with_x(|i, _, x| x + slope * value(&shape, i) as f64);
            step(format!("{shape}: slope {slope}"), &case, &TrainingOptions::default(), Data::Any);
        }
    }
}

/// Variance 0, the mean and y exact, dgamma 0.
#[test]
fn constant_channels() {
    let values = [0.0, 1.0, -3.3, 0.1, 1e6, -1e6 / 3.0, 1e-12, 1e15, 1e-30, 16_777_217.0];
    for dtype in Dtype::ALL {
        for shape in shapes(dtype) {
            for pair in values.chunks(2) {
                let finite =
                    |value: f64| if dtype == Dtype::F16 { value.clamp(-65504.0, 65504.0) } else { value };
                let case = Case::random(shape, 24, 0.0).with_x(|_, c, _| finite(pair[c % 2]));
                for affine in Affine::ALL {
                    let options = TrainingOptions { affine, ..Default::default() };
                    let place = format!("{shape}: constant {pair:?}");
                    let (trained, gradients) = step(&place, &case, &options, Data::Plain);
                    let beta = |i: usize| if affine.has_beta() { case.beta[case.channel(i)] } else { 0.0 };
                    let expected: Vec<f64> = (0..case.x.len()).map(beta).collect();
                    let expected = reference::stored(dtype, &expected);
                    hold(&place, check::within("y", &trained.y, &expected, |_| 0.0));
                    let inner = shape.inner() as usize;
                    for (c, saved) in trained.saved.iter().enumerate() {
                        let exact = saved.variance == 0.0 && saved.mean() == case.x[c * inner];
                        assert!(exact, "{place}: {saved:?}");
                    }
                    assert!(gradients.dgamma.iter().all(|&dgamma| dgamma == 0.0), "{place}: dgamma");
                }
            }
        }
    }
}

#[test]
fn scales() {
    for shape in shapes(Dtype::F32) {
        for scale in [1e-12, 1e-6, 1e6, 1e15] {
            for offset in [0.0, 3.0, 1e3] {
                let case = Case::random(shape, 25, offset).with_x(|_, _, x| x * scale);
                for eps in [1e-5, 1e-30] {
                    let options = TrainingOptions { eps, ..Default::default() };
                    let place = format!("{shape}: scale {scale:e}, offset {offset}, eps {eps:e}");
                    step(place, &case, &options, Data::Plain);
                }
            }
        }
    }
}

/// At offset 1e6 the pair of pivot and difference gains a factor of 100 over the best that one f32 mean can do.
#[test]
fn pair_gains() {
    for (outer, inner) in [(30_000, 1), (6, 5_000)] {
        let shape = shape(outer, 1, inner, Dtype::F32);
        let mut case = Case::random(shape, 26, 1e6 + 0.03);
        // The mean moves by 1/16 of 1/m a step; f32 values lie 1/16 apart here.
        let mean = reference::statistics(&shape, &case.x).expect("lengths").mean[0];
        let off = (mean - 1e6 - 0.03) * f64::from(shape.values_per_channel()) * 16.0;
        case = case.with_x(|i, _, x| if (i as f64) < off.abs() { x - off.signum() / 16.0 } else { x });
        let options = TrainingOptions { affine: Affine::None, ..Default::default() };
        let (actual, _) = step(shape.to_string(), &case, &options, Data::Plain);
        let batch = reference::statistics(&shape, &case.x).expect("lengths");
        let expected = reference::normalize(&shape, &case.x, &batch, None, None, 1e-5).expect("lengths");
        let saved = actual.saved[0];
        let one_mean = saved.mean() as f32;
        let by_one_mean = case.x.iter().map(|&x| f64::from(x as f32 - one_mean) * f64::from(saved.invstd));
        let worst = |values: &mut dyn Iterator<Item = f64>| {
            values.zip(&expected).map(|(value, expected)| (value - expected).abs()).fold(0.0, f64::max)
        };
        let (pair, one) = (worst(&mut actual.y.iter().copied()), worst(&mut by_one_mean.into_iter()));
        assert!(pair * 100.0 <= one, "{shape}: {pair:e} with the pair, {one:e} with one f32");
    }
}

/// Finite x whose squares overflow f32: the variance is infinite and y beta; the running mean stays exact, also where
/// the sums in f32 overflow.
#[test]
fn squares_overflow() {
    for shape in shapes(Dtype::F32) {
        for scale in [1e20, 1e25, 1e30, 3e38] {
            let case = Case::random(shape, 27, 0.0);
            let case = case.with_x(|_, c, x| if c == 0 { x.signum() * scale } else { x });
            let options = TrainingOptions::default();
            let actual = run::training(&case, &options).expect("training");
            let place = format!("{shape} at {scale:e}");
            if scale < 1e38 {
                let wrong = (0..case.x.len()).find(|&i| case.channel(i) == 0 && actual.y[i] != case.beta[0]);
                assert!(wrong.is_none(), "{place}: y at {wrong:?}, saved {:?}", actual.saved[0]);
            }
            let variances = (actual.saved[0].variance, actual.running.variance[0]);
            assert!(variances == (f32::INFINITY, f64::INFINITY), "{place}: {variances:?}");
            let batch = reference::statistics(&shape, &case.x).expect("lengths");
            let error = (actual.saved[0].mean() - batch.mean[0]).abs();
            assert!(error <= 1e-12 * scale + 1e-7 * batch.mean[0].abs(), "{place}: mean off by {error:e}");
        }
    }
}

/// gamma times invstd overflows while gamma times x_hat need not, or has no digits left while the output has them all.
/// The other channels keep their bits.
#[test]
fn extreme_gammas() {
    let options = TrainingOptions::default();
    for shape in shapes(Dtype::F32) {
        let usual = Case::random(shape, 30, 1.0);
        let (clean, clean_gradients) = step(shape.to_string(), &usual, &options, Data::Plain);
        let hit = (shape.channels() - 1) as usize;
        for (gamma, x_scale, dy_scale) in [(1e37f32, 1e-6, 1e-8), (1e-27, 1e12, 1e20)] {
            let mut case = usual.clone().with_x(|_, c, x| if c == hit { x * x_scale } else { x });
            case.gamma[hit] = gamma.into();
            for (i, dy) in case.dy.iter_mut().enumerate().filter(|(i, _)| usual.channel(*i) == hit) {
                *dy = reference::stored(Dtype::F32, &[usual.dy[i] * dy_scale])[0];
            }
            let place = format!("{shape}: gamma {gamma:e}");
            let (trained, gradients) = step(&place, &case, &options, Data::Plain);
            for i in (0..case.x.len()).filter(|&i| case.channel(i) != hit) {
                let same = trained.y[i] == clean.y[i] && gradients.dx[i] == clean_gradients.dx[i];
                assert!(same, "{place}: channel {}", case.channel(i));
            }
            let of_inference = InferenceOptions::default();
            let running: [f64; 2] = [x_scale, x_scale * x_scale].map(|number| f64::from(number as f32));
            [case.running.mean[hit], case.running.variance[hit]] = running;
            let y = run::inference(&case, &of_inference).expect("inference");
            hold(&place, check::inference(&case, &of_inference, &y));
        }
    }
}

#[test]
fn large_momentum() {
    let shape = shape(8, 3, 49, Dtype::F32);
    for momentum in [-1e6, 1e10, 1e30] {
        let running = Some(RunningStatistics { momentum: Momentum::OfNew(momentum), ..Default::default() });
        let options = TrainingOptions { running, ..Default::default() };
        let case = Case::random(shape, 28, 1.0);
        hold(momentum, check::training(&case, &options, &run::training(&case, &options).expect("training")));
    }
}

/// NaN and infinities stay in their channel; every other one has the bits that it has without them.
#[test]
fn infinite_in_training() {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    for dtype in Dtype::ALL {
        for shape in shapes(dtype) {
            let m = shape.values_per_channel() as usize;
            let (options, of_backward) = (TrainingOptions::default(), BackwardOptions::default());
            let case = Case::random(shape, 29, 1.0);
            let (clean, clean_gradients) = step(shape.to_string(), &case, &options, Data::Plain);
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
                (vec![(m / 2, nan), (m - 1, inf)], nan),
            ] {
                let place = format!("{shape} with {bad:?}");
                let case = case.clone().with_x(|i, c, x| {
                    let found = bad.iter().find(|(at, _)| c == hit && *at == value(&shape, i));
                    found.map_or(x, |(_, bad)| *bad)
                });
                let actual = run::training(&case, &options).expect("training");
                for (i, (&y, &clean)) in actual.y.iter().zip(&clean.y).enumerate() {
                    let right = if case.channel(i) == hit { y.is_nan() } else { y == clean };
                    assert!(right, "{place}: y is {y} at {i}");
                }
                let Statistics { mean: means, variance: variances } = &actual.running;
                hold(&place, check::within("running mean", &means[hit..], &[mean], |_| 0.0));
                assert!(variances[hit].is_nan(), "{place}: running variance is {}", variances[hit]);
                let gradients = run::backward(&case, &actual.saved, &of_backward).expect("backward");
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

/// In inference each value is on its own, and an infinite running variance gives beta.
#[test]
fn infinite_in_inference() {
    for dtype in Dtype::ALL {
        for shape in shapes(dtype) {
            let options = InferenceOptions::default();
            let clean_case = Case::random(shape, 30, 1.0);
            let clean = run::inference(&clean_case, &options).expect("inference");
            let bad = |i: usize| match i % 11 {
                3 => Some(f64::NAN),
                5 => Some(f64::INFINITY),
                7 => Some(f64::NEG_INFINITY),
                _ => None,
            };
            let case = clean_case.clone().with_x(|i, _, x| bad(i).unwrap_or(x));
            let of = |i: usize| bad(i).map_or(clean[i], |bad| bad * case.gamma[case.channel(i)]);
            let expected: Vec<f64> = (0..case.x.len()).map(of).collect();
            hold(shape, check::within("y", &run::inference(&case, &options).expect("y"), &expected, |_| 0.0));

            let mut case = clean_case;
            let last = (shape.channels() - 1) as usize;
            case.running.variance[last] = f64::INFINITY;
            let y = run::inference(&case, &options).expect("inference");
            let beta = reference::stored(dtype, &case.beta)[last];
            let right = |i: usize| y[i] == if case.channel(i) == last { beta } else { clean[i] };
            assert!((0..y.len()).all(right), "{shape}: infinite running variance");
        }
    }
}

/// The ends of f16 as x, and a y beyond the largest, which is infinite.
#[test]
fn f16_extremes() {
    for shape in shapes(Dtype::F16) {
        let tiny = 2f64.powi(-24);
        for (name, low, high) in [("largest", -65504.0, 65504.0), ("subnormal", tiny, 3.0 * tiny)] {
            let mut random = Random::new(31);
            let signs: Vec<bool> = (0..shape.len()).map(|_| random.bits() & 1 == 0).collect();
            let mut case = Case::random(shape, 31, 0.0).with_x(|i, _, _| if signs[i] { low } else { high });
            for eps in [1e-5, 1e-12] {
                let options = TrainingOptions { eps, ..Default::default() };
                // dgamma of one channel may cancel.
                step(format!("{shape}: {name}, eps {eps:e}"), &case, &options, Data::Any);
            }
            case.gamma.fill(1e5);
            let options = TrainingOptions::default();
            let actual = run::training(&case, &options).expect("training");
            hold(shape, check::training(&case, &options, &actual));
            let infinite = actual.y.iter().any(|y| y.is_infinite());
            assert_eq!(infinite, name == "largest", "{shape}");
        }
    }
}
