//! The reference against PyTorch in float64, against finite differences of itself, and against answers that are known
//! exactly. None of it needs a device.

#[path = "data/goldens.rs"]
mod goldens;

use goldens::Golden;
use wgpu_batchnorm::reference::{self, Statistics};
use wgpu_batchnorm::{Affine, Dtype, RunningVariance, Shape};

fn shape(dims: &[usize], channel_axis: usize) -> Shape {
    Shape::new(dims, channel_axis, Dtype::F32).expect("a shape")
}

/// Numbers without a pattern, between -1 and 1, and far enough apart for a small batch to have a variance.
fn scattered(len: usize, seed: u32) -> Vec<f64> {
    (0..len).map(|i| (f64::from(seed) * 7.31 + i as f64 * 1.618_034 + (i * i) as f64 * 0.27).sin()).collect()
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0f64, |a, b| a.max(b.abs()))
}

/// Every value within so much of the expected one; NaN is within nothing.
#[track_caller]
fn near(place: &str, actual: &[f64], expected: &[f64], bound: f64) {
    assert_eq!(actual.len(), expected.len(), "{place}");
    for (i, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        assert!(
            (actual - expected).abs() <= bound,
            "{place}[{i}]: {actual:e} for {expected:e}, bound {bound:e}"
        );
    }
}

/// What two orders of summation in f64 may differ by: 1e-12 of the largest value, and more where the channels are far
/// from zero, since x - mean then has fewer digits.
fn tolerance(golden: &Golden, statistics: &Statistics) -> f64 {
    let far = statistics.mean.iter().zip(&statistics.variance);
    let far: Vec<f64> = far.map(|(mean, variance)| mean / (variance + golden.eps).sqrt()).collect();
    1e-12f64.max(2e-15 * largest(&far))
}

/// Each output, statistic and gradient of every golden, all conventions included, to 1e-12.
#[test]
fn pytorch_goldens() {
    let mut by_batch = 0;
    for golden in goldens::load() {
        let (shape, name, eps) = (golden.shape(), golden.name.as_str(), golden.eps);
        let (gamma, beta) = (golden.gamma.as_deref(), golden.beta.as_deref());
        let x = golden.x.last().expect("a batch");
        assert_eq!(golden.affine().has_gamma(), gamma.is_some());
        if !golden.by_batch() {
            let (running, _) = golden.running().expect("running statistics");
            let y = reference::normalize(&shape, x, &running, gamma, beta, eps).expect("lengths");
            near(&format!("{name}: y"), &y, &golden.y, tolerance(&golden, &running) * largest(&golden.y));
            continue;
        }
        by_batch += 1;
        let batch = reference::statistics(&shape, x).expect("lengths");
        let tolerance = tolerance(&golden, &batch);
        let hold = |what: &str, actual: &[f64], expected: &[f64]| {
            near(&format!("{name}: {what}"), actual, expected, tolerance * largest(expected));
        };
        let expected = golden.batch();
        hold("mean", &batch.mean, &expected.mean);
        hold("variance", &batch.variance, &expected.variance);
        let y = reference::normalize(&shape, x, &batch, gamma, beta, eps).expect("lengths");
        hold("y", &y, &golden.y);
        if let Some((mut running, after)) = golden.running() {
            for (index, x) in golden.x.iter().enumerate() {
                let batch = reference::statistics(&shape, x).expect("lengths");
                let (momentum, variance) = (golden.momentum_of(index), RunningVariance::Unbiased);
                let update = reference::update_running(&shape, &running, &batch, momentum, variance);
                running = update.expect("lengths");
            }
            hold("running mean", &running.mean, &after.mean);
            hold("running variance", &running.variance, &after.variance);
        }
        let dy = golden.dy.as_deref().expect("dy");
        let gradients = reference::backward(&shape, x, dy, &batch, gamma, eps).expect("lengths");
        hold("dx", &gradients.dx, golden.dx.as_deref().expect("dx"));
        for (what, actual, expected) in
            [("dgamma", &gradients.dgamma, &golden.dgamma), ("dbeta", &gradients.dbeta, &golden.dbeta)]
        {
            if let Some(expected) = expected {
                hold(what, actual, expected);
            }
        }
    }
    assert_eq!(by_batch, goldens::COUNT - 4);
}

/// The gradients are those of sum(dy y): central differences of the forward pass, with a step of 1e-5, by every x, gamma
/// and beta. Truncation leaves some 1e-10 of the third derivative, rounding 1e-16 / 1e-5: 1e-8 of the largest gradient
/// takes both with room, and no wrong term.
#[test]
fn finite_differences() {
    const STEP: f64 = 1e-5;
    for (seed, (dims, axis, eps)) in
        [(&[4, 3, 5][..], 1, 1e-5), (&[7, 2], 1, 1e-3), (&[3, 2, 2, 4], 3, 0.5), (&[3, 2, 3], 0, 1e-5)]
            .into_iter()
            .enumerate()
    {
        let shape = shape(dims, axis);
        let (len, channels) = (shape.len() as usize, shape.channels() as usize);
        let seed = seed as u32;
        let x: Vec<f64> = scattered(len, seed).iter().map(|x| 3.0 * x + 1.0).collect();
        let (dy, gamma, beta) =
            (scattered(len, seed + 10), scattered(channels, seed + 20), scattered(channels, 30));
        for affine in Affine::ALL {
            let loss = |x: &[f64], gamma: &[f64], beta: &[f64]| -> f64 {
                let batch = reference::statistics(&shape, x).expect("lengths");
                let (gamma, beta) = (affine.has_gamma().then_some(gamma), affine.has_beta().then_some(beta));
                let y = reference::normalize(&shape, x, &batch, gamma, beta, eps).expect("lengths");
                y.iter().zip(&dy).map(|(y, dy)| y * dy).sum()
            };
            let differences = |values: &[f64], loss: &dyn Fn(&[f64]) -> f64| -> Vec<f64> {
                let moved = |i: usize, by: f64| {
                    let mut values = values.to_vec();
                    values[i] += by;
                    loss(&values)
                };
                (0..values.len()).map(|i| (moved(i, STEP) - moved(i, -STEP)) / (2.0 * STEP)).collect()
            };
            let batch = reference::statistics(&shape, &x).expect("lengths");
            let given = affine.has_gamma().then_some(gamma.as_slice());
            let gradients = reference::backward(&shape, &x, &dy, &batch, given, eps).expect("lengths");
            let hold = |what: &str, actual: &[f64], expected: &[f64]| {
                near(&format!("{shape} {affine:?}: {what}"), actual, expected, 1e-8 * largest(expected));
            };
            hold("dx", &gradients.dx, &differences(&x, &|x| loss(x, &gamma, &beta)));
            if affine.has_gamma() {
                hold("dgamma", &gradients.dgamma, &differences(&gamma, &|gamma| loss(&x, gamma, &beta)));
            }
            if affine.has_beta() {
                hold("dbeta", &gradients.dbeta, &differences(&beta, &|beta| loss(&x, &gamma, beta)));
            }
        }
    }
}

/// dx sums to 0 over a channel, and its projection on x_hat is what eps leaves of it:
/// gamma invstd sum(dy x_hat) eps / (variance + eps).
#[test]
fn eps_in_the_gradient() {
    let shape = shape(&[5, 1, 3], 1);
    let (x, dy, eps, gamma) = (scattered(15, 1), scattered(15, 2), 0.25, 1.5);
    let batch = reference::statistics(&shape, &x).expect("lengths");
    let gradients = reference::backward(&shape, &x, &dy, &batch, Some(&[gamma]), eps).expect("lengths");
    let x_hat = reference::normalize(&shape, &x, &batch, None, None, eps).expect("lengths");
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    near("sum", &[gradients.dx.iter().sum()], &[0.0], 1e-14);
    let variance_eps = batch.variance[0] + eps;
    let projection = gamma / variance_eps.sqrt() * dot(&dy, &x_hat) * eps / variance_eps;
    near("projection", &[dot(&gradients.dx, &x_hat)], &[projection], 1e-14);
    near("dgamma", &gradients.dgamma, &[dot(&dy, &x_hat)], 1e-14);
}

/// eps is added inside the root: a variance of 1 and an eps of 3 divide by 2.
#[test]
fn eps_inside_the_root() {
    let shape = shape(&[4, 1], 1);
    let x = [4.0, 6.0, 6.0, 4.0];
    let batch = reference::statistics(&shape, &x).expect("lengths");
    assert_eq!((batch.mean[0], batch.variance[0]), (5.0, 1.0));
    let y = reference::normalize(&shape, &x, &batch, Some(&[8.0]), Some(&[100.0]), 3.0).expect("lengths");
    assert_eq!(y, [96.0, 104.0, 104.0, 96.0]);
}

/// The running variance takes m / (m - 1) of the batch's, m being the values of the channel and not of the batch, or
/// the batch's own by choice; the mean is not corrected. 6 values with a sum of squared deviations of 34.
#[test]
fn running_variance() {
    let shape = shape(&[2, 1, 3], 1);
    let x = [-3.0, 3.0, -2.0, 2.0, -2.0, 2.0].map(|x: f64| x - 1.0);
    let batch = reference::statistics(&shape, &x).expect("lengths");
    assert_eq!((batch.mean[0], batch.variance[0]), (-1.0, 34.0 / 6.0));
    let before = Statistics { mean: vec![3.0], variance: vec![2.0] };
    for (variance, new) in [(RunningVariance::Unbiased, 34.0 / 5.0), (RunningVariance::Biased, 34.0 / 6.0)] {
        for momentum in [0.0, 0.1, 0.5, 1.0, -1.2, 3.0] {
            let after =
                reference::update_running(&shape, &before, &batch, momentum, variance).expect("lengths");
            near("mean", &after.mean, &[3.0 - 4.0 * momentum], 1e-14);
            near("variance", &after.variance, &[2.0 + (new - 2.0) * momentum], 1e-14);
            if momentum == 0.0 {
                assert_eq!(after, before);
            }
        }
    }
}

/// With a momentum of 1 nothing is left of the old value, however large it was.
#[test]
fn momentum_one_replaces() {
    let shape = shape(&[2, 1], 1);
    let batch = reference::statistics(&shape, &[1.0, 3.0]).expect("lengths");
    let before = Statistics { mean: vec![1e300], variance: vec![1e300] };
    let after = reference::update_running(&shape, &before, &batch, 1.0, RunningVariance::Unbiased);
    assert_eq!(after, Ok(Statistics { mean: vec![2.0], variance: vec![2.0] }));
}

/// A momentum of 1 / n at the n-th batch is the mean of the batches' statistics, each with its own correction; what
/// was there before the first does not matter.
#[test]
fn cumulative_average() {
    let shape = shape(&[4, 2], 1);
    let mut running = Statistics { mean: vec![1e3; 2], variance: vec![1e3; 2] };
    let mut expected = Statistics { mean: vec![0.0; 2], variance: vec![0.0; 2] };
    for n in 1..=5u32 {
        let batch = reference::statistics(&shape, &scattered(8, n)).expect("lengths");
        for c in 0..2 {
            expected.mean[c] += batch.mean[c] / 5.0;
            expected.variance[c] += batch.variance[c] * 4.0 / 3.0 / 5.0;
        }
        let momentum = 1.0 / f64::from(n);
        let update = reference::update_running(&shape, &running, &batch, momentum, RunningVariance::Unbiased);
        running = update.expect("lengths");
    }
    near("mean", &running.mean, &expected.mean, 1e-14);
    near("variance", &running.variance, &expected.variance, 1e-14);
}

/// An empty batch, whichever dimension is 0: NaN statistics, nothing for y and dx, zeros for dgamma and dbeta, and the
/// running statistics as they were.
#[test]
fn empty_batch() {
    for dims in [&[0, 2, 3][..], &[4, 2, 0], &[0, 2]] {
        let shape = shape(dims, 1);
        let batch = reference::statistics(&shape, &[]).expect("lengths");
        assert!(batch.mean.iter().chain(&batch.variance).all(|value| value.is_nan()), "{shape}: {batch:?}");
        let y = reference::normalize(&shape, &[], &batch, Some(&[1.0; 2]), None, 1e-5).expect("lengths");
        assert_eq!(y, [0.0; 0]);
        let gradients = reference::backward(&shape, &[], &[], &batch, None, 1e-5).expect("lengths");
        assert_eq!((gradients.dx, gradients.dgamma, gradients.dbeta), (vec![], vec![0.0; 2], vec![0.0; 2]));
        let before = Statistics { mean: vec![1.0, 2.0], variance: vec![3.0, 4.0] };
        for variance in [RunningVariance::Unbiased, RunningVariance::Biased] {
            let after = reference::update_running(&shape, &before, &batch, 0.5, variance);
            assert_eq!(after.as_ref(), Ok(&before), "{shape} {variance:?}");
        }
    }
}

/// One value per channel has no unbiased variance: the running statistics stay. With the biased one they take the
/// value, and a variance of 0.
#[test]
fn one_value_per_channel() {
    let shape = shape(&[1, 1], 1);
    let batch = reference::statistics(&shape, &[5.0]).expect("lengths");
    assert_eq!((batch.mean[0], batch.variance[0]), (5.0, 0.0));
    let before = Statistics { mean: vec![1.0], variance: vec![4.0] };
    let update = |variance| reference::update_running(&shape, &before, &batch, 0.5, variance);
    assert_eq!(update(RunningVariance::Unbiased).as_ref(), Ok(&before));
    assert_eq!(update(RunningVariance::Biased), Ok(Statistics { mean: vec![3.0], variance: vec![2.0] }));
}

/// A constant channel has a variance of 0 and gives beta, to the last bit, though the next channel is not constant.
/// The constants are short binary numbers, so that their sum and mean are exact.
#[test]
fn constant_channel() {
    let shape = shape(&[3, 2, 5], 1);
    for constant in [0.0, 3.25, -65_504.0, 1e15] {
        let varied = scattered(30, 4);
        let x: Vec<f64> = (0..30).map(|i| if i / 5 % 2 == 0 { constant } else { varied[i] }).collect();
        let batch = reference::statistics(&shape, &x).expect("lengths");
        assert_eq!((batch.mean[0], batch.variance[0]), (constant, 0.0));
        let beta = [0.1, 0.2];
        let y =
            reference::normalize(&shape, &x, &batch, Some(&[1e6, 1.0]), Some(&beta), 1e-5).expect("lengths");
        assert!((0..30).all(|i| (y[i] == beta[0]) == (i / 5 % 2 == 0)), "{y:?}");
    }
}

/// NaN and infinities stay in their channel, in statistics, outputs and gradients.
#[test]
fn channels_are_apart() {
    let shape = shape(&[3, 3, 2], 1);
    for hostile in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut x = scattered(18, 5);
        let dy = scattered(18, 6);
        let clean = reference::statistics(&shape, &x).expect("lengths");
        x[8] = hostile; // outer 1, channel 1
        let batch = reference::statistics(&shape, &x).expect("lengths");
        let y = reference::normalize(&shape, &x, &batch, None, None, 1e-5).expect("lengths");
        let gradients = reference::backward(&shape, &x, &dy, &batch, None, 1e-5).expect("lengths");
        for (i, (y, dx)) in y.iter().zip(&gradients.dx).enumerate() {
            let inside = i / 2 % 3 == 1;
            assert_eq!((y.is_nan(), dx.is_nan()), (inside, inside), "{hostile} at {i}");
        }
        for c in [0, 2] {
            assert_eq!((batch.mean[c], batch.variance[c]), (clean.mean[c], clean.variance[c]));
            assert!(gradients.dgamma[c].is_finite() && gradients.dbeta[c].is_finite());
        }
        assert!(batch.variance[1].is_nan() && gradients.dgamma[1].is_nan());
    }
}

/// The statistics of two parts, merged by the formula of Chan, Golub and LeVeque, are those of the whole, for parts of
/// every size and far apart.
#[test]
fn parts_merge_to_the_whole() {
    let (rows, channels) = (9usize, 2usize);
    for offset in [0.0, 1e4] {
        let mut x = scattered(rows * channels, 7);
        x[..6].iter_mut().for_each(|x| *x += offset);
        let whole = reference::statistics(&shape(&[rows, channels], 1), &x).expect("lengths");
        for first in 1..rows {
            let (a, b) = x.split_at(first * channels);
            let part = |x: &[f64]| {
                let shape = shape(&[x.len() / channels, channels], 1);
                (f64::from(shape.values_per_channel()), reference::statistics(&shape, x).expect("lengths"))
            };
            let ((m_a, a), (m_b, b)) = (part(a), part(b));
            let m = m_a + m_b;
            for c in 0..channels {
                let delta = b.mean[c] - a.mean[c];
                let mean = a.mean[c] + delta * m_b / m;
                let m2 = a.variance[c] * m_a + b.variance[c] * m_b + delta * delta * m_a * m_b / m;
                near("mean", &[mean], &[whole.mean[c]], 1e-13 * (1.0 + offset));
                near("variance", &[m2 / m], &[whole.variance[c]], 1e-13 * whole.variance[c]);
            }
        }
    }
}

/// Wherever the channels lie, the results are the same numbers in another order.
#[test]
fn channel_axis() {
    let (n, c, k) = (4, 3, 5);
    let (x, dy) = (scattered(n * c * k, 8), scattered(n * c * k, 9));
    let (gamma, beta) = (scattered(c, 10), scattered(c, 11));
    // [n, c, k] to [n, k, c] and to [c, n, k].
    let last = |v: &[f64]| -> Vec<f64> {
        (0..n * c * k).map(|i| v[(i / (k * c) * c + i % c) * k + i / c % k]).collect()
    };
    let first = |v: &[f64]| -> Vec<f64> {
        (0..n * c * k).map(|i| v[(i / k % n * c + i / (n * k)) * k + i % k]).collect()
    };
    let all = |shape: Shape, x: &[f64], dy: &[f64]| {
        let batch = reference::statistics(&shape, x).expect("lengths");
        let y = reference::normalize(&shape, x, &batch, Some(&gamma), Some(&beta), 1e-5).expect("lengths");
        let gradients = reference::backward(&shape, x, dy, &batch, Some(&gamma), 1e-5).expect("lengths");
        (batch, y, gradients)
    };
    let middle = all(shape(&[n, c, k], 1), &x, &dy);
    let hold = |(batch, y, gradients): (Statistics, Vec<f64>, reference::Gradients), y_there, dx_there| {
        assert_eq!((batch, y, gradients.dx), (middle.0.clone(), y_there, dx_there));
        let of_parameters = (middle.2.dgamma.clone(), middle.2.dbeta.clone());
        assert_eq!((gradients.dgamma, gradients.dbeta), of_parameters);
    };
    hold(all(shape(&[n, k, c], 2), &last(&x), &last(&dy)), last(&middle.1), last(&middle.2.dx));
    hold(all(shape(&[c, n, k], 0), &first(&x), &first(&dy)), first(&middle.1), first(&middle.2.dx));
}

/// As storage rounds: to nearest even, ties and subnormals included, overflow to infinity, and NaN stays.
#[test]
fn stored() {
    let ties = [1.0 + 2f64.powi(-11), 1.0 + 3.0 * 2f64.powi(-11), 2f64.powi(-25), 3.0 * 2f64.powi(-25)];
    let rounded = [1.0, 1.0 + 2f64.powi(-9), 0.0, 2f64.powi(-23)];
    assert_eq!(reference::stored(Dtype::F16, &ties), rounded);
    assert_eq!(
        reference::stored(Dtype::F16, &[65_519.0, 65_520.0, -1e9]),
        [65_504.0, f64::INFINITY, f64::NEG_INFINITY]
    );
    let ties = [1.0 + 2f64.powi(-24), 1.0 + 3.0 * 2f64.powi(-24), 2f64.powi(-150)];
    assert_eq!(reference::stored(Dtype::F32, &ties), [1.0, 1.0 + 2f64.powi(-22), 0.0]);
    for dtype in Dtype::ALL {
        assert!(reference::stored(dtype, &[f64::NAN])[0].is_nan());
    }
}
