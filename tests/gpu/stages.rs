//! The stages on their own: a batch in parts, each on its own device for all the stages know.

use wgpu_batchnorm::reference;
use wgpu_batchnorm::{
    Affine, BackwardOptions, Dtype, GradientSums, Gradients, Moments, Momentum, RunningStatistics,
    RunningVariance, Shape, TrainingOptions,
};

use crate::Test;
use crate::support::arena::Layout;
use crate::support::case::Case;
use crate::support::check::{self, Data, hold};
use crate::support::gpu::Gpu;
use crate::support::run::{Differentiated, Trained};
use crate::support::stages;

pub const TESTS: &[Test] = &[
    ("parts_equal_the_whole", parts_equal_the_whole),
    ("moments_of_a_part", moments_of_a_part),
    ("gradient_sums_of_a_part", gradient_sums_of_a_part),
    ("too_few_values", too_few_values),
    ("merge_of_chosen_moments", merge_of_chosen_moments),
    ("merge_of_unlike_parts", merge_of_unlike_parts),
    ("merge_of_chosen_sums", merge_of_chosen_sums),
];

/// How many images each part gets, of a batch of 23: uneven, one of them empty, one a single image.
const PARTS: [&[usize]; 5] = [&[23], &[15, 8], &[7, 16, 0], &[0, 1, 5, 9, 3, 1, 4], &[1, 22]];

/// The images `first..first + images` of a channels-first case.
fn part(case: &Case, first: usize, images: usize) -> Case {
    let Case { shape, x, dy, gamma, beta, running } = case;
    let (channels, inner) = (shape.channels() as usize, shape.inner() as usize);
    let values = first * channels * inner..(first + images) * channels * inner;
    let dims = [images, channels, inner];
    let shape = Shape::new(&dims, 1, shape.dtype()).expect("a part's shape");
    Case::new(shape, &x[values.clone()], &dy[values], gamma.clone(), beta.clone(), running.clone())
}

fn cases() -> impl Iterator<Item = Case> {
    let dims = [[23, 3, 1], [23, 5, 7], [23, 40, 1], [23, 2, 221]];
    Dtype::ALL.into_iter().flat_map(move |dtype| {
        dims.into_iter().flat_map(move |dims| {
            let offsets: &[f64] = if dtype == Dtype::F16 { &[3.0, 1e4] } else { &[3.0, 1e5, -1e6] };
            let shape = Shape::new(&dims, 1, dtype).expect("a shape");
            offsets.iter().map(move |&offset| Case::random(shape, 61, offset))
        })
    })
}

/// Forward and backward over a batch in parts hold the bounds that they hold over the whole, at every offset: parts
/// are merged by (count, mean, M2), and the mean stays a pair of floats all the way.
fn parts_equal_the_whole(gpu: &Gpu) {
    for case in cases() {
        for (index, sizes) in PARTS.into_iter().enumerate() {
            let layout = Layout::ALL[index % 2];
            let affine = Affine::ALL[index % 4];
            let variance = [RunningVariance::Unbiased, RunningVariance::Biased][index % 2];
            let running =
                Some(RunningStatistics { momentum: Momentum::OfNew(0.25), variance, ..Default::default() });
            let options = TrainingOptions { affine, running, ..Default::default() };
            let mut first = 0;
            let parts: Vec<Case> = sizes
                .iter()
                .map(|&images| {
                    first += images;
                    part(&case, first - images, images)
                })
                .collect();
            let place = format!("{} in {sizes:?}", case.shape);

            let moments: Vec<Moments> =
                parts.iter().flat_map(|part| stages::batch_moments(gpu, part, layout)).collect();
            let (saved, running) =
                stages::merge_moments(gpu, &moments, &case.running, options.eps, running, layout);
            let y = parts.iter().flat_map(|part| stages::normalize(gpu, part, &saved, affine, layout));
            let trained = Trained { y: y.collect(), saved: saved.clone(), running, bits: Vec::new() };
            hold(&place, check::training(&case, &options, &trained));

            let sums = parts.iter().flat_map(|part| stages::batch_gradient_sums(gpu, part, &saved, layout));
            let sums: Vec<GradientSums> = sums.collect();
            let (sums, dgamma, dbeta) =
                stages::merge_gradient_sums(gpu, &sums, &saved, Gradients::default(), layout);
            let dx = parts
                .iter()
                .flat_map(|part| stages::input_gradient(gpu, part, &saved, &sums, affine, layout));
            let differentiated = Differentiated { dx: dx.collect(), dgamma, dbeta, bits: Vec::new() };
            let of_backward = BackwardOptions { affine, ..Default::default() };
            hold(&place, check::backward(&case, &of_backward, options.eps, Data::Plain, &differentiated));
        }
    }
}

/// Count exactly, mean and M2 within the bounds of saved statistics; a part of one value has M2 of 0 and its value
/// as its mean, exactly; an empty one has a count of 0.
fn moments_of_a_part(gpu: &Gpu) {
    for case in cases() {
        for images in [0, 1, 2, 23] {
            let part = part(&case, 0, images);
            let moments = stages::batch_moments(gpu, &part, Layout::Separate);
            let m = part.shape.values_per_channel();
            assert!(moments.iter().all(|moments| moments.count == m), "{}: counts", part.shape);
            if m == 0 {
                continue;
            }
            let batch = reference::statistics(&part.shape, &part.x).expect("lengths");
            let means: Vec<f64> = moments.iter().map(Moments::mean).collect();
            let variances: Vec<f64> = moments.iter().map(Moments::variance).collect();
            let bound = |c: usize| check::mean_bound(batch.mean[c], batch.variance[c]);
            hold(part.shape, check::within("mean", &means, &batch.mean, bound));
            let bound = |c: usize| 4e-6 * batch.variance[c];
            hold(part.shape, check::within("variance", &variances, &batch.variance, bound));
        }
    }
}

/// Count exactly; the sums within 2e-6 of the sum of their terms' magnitudes, whatever cancels in them.
fn gradient_sums_of_a_part(gpu: &Gpu) {
    for case in cases() {
        let saved = case.saved(1e-5);
        for images in [0, 1, 2, 23] {
            let part = part(&case, 0, images);
            let sums = stages::batch_gradient_sums(gpu, &part, &saved, Layout::Shared);
            let channels = sums.len();
            let mut expected = vec![(0u32, 0.0, 0.0, 0.0, 0.0); channels];
            for (i, (x, dy)) in part.x.iter().zip(&part.dy).enumerate() {
                let c = part.channel(i);
                let (count, sum, centered, terms, centered_terms) = &mut expected[c];
                let product = dy * (x - saved[c].mean());
                *count += 1;
                *sum += dy;
                *centered += product;
                *terms += dy.abs();
                *centered_terms += product.abs();
            }
            for (c, (sums, expected)) in sums.iter().zip(&expected).enumerate() {
                let &(count, sum, centered, terms, centered_terms) = expected;
                assert_eq!(sums.count, count, "{}: count of channel {c}", part.shape);
                let near = |actual: f32, expected: f64, terms: f64| {
                    (f64::from(actual) - expected).abs() <= 2e-6 * terms
                };
                assert!(near(sums.dy, sum, terms), "{}: {sums:?} for {expected:?}", part.shape);
                assert!(near(sums.dy_centered, centered, centered_terms), "{}: {sums:?}", part.shape);
            }
        }
    }
}

/// A total count of 0, and of 1 with the unbiased variance, leave the running statistics as they are, bit by bit;
/// of 1 with the biased one takes the value and a variance of 0. The gradients of no values are 0 whatever was saved.
fn too_few_values(gpu: &Gpu) {
    let before = Case::random(Shape::new(&[2, 3], 1, Dtype::F32).expect("a shape"), 62, 0.0).running;
    let none = Moments::default();
    let one = Moments { count: 1, pivot: 4.0, difference: 0.0, m2: 0.0 };
    let tracking =
        |variance| Some(RunningStatistics { momentum: Momentum::OfNew(0.5), variance, ..Default::default() });
    for variance in [RunningVariance::Unbiased, RunningVariance::Biased] {
        for sets in [1, 2, 7] {
            let empty = vec![none; 3 * sets];
            let (_, after) =
                stages::merge_moments(gpu, &empty, &before, 1e-5, tracking(variance), Layout::Shared);
            hold(format!("{sets} empty sets"), check::same_running(&before, &after));
            let mut single = empty.clone();
            single[3 * (sets - 1)..].fill(one);
            let (saved, after) =
                stages::merge_moments(gpu, &single, &before, 1e-5, tracking(variance), Layout::Separate);
            assert!(saved.iter().all(|saved| saved.mean() == 4.0 && saved.variance == 0.0), "{saved:?}");
            if variance == RunningVariance::Unbiased {
                hold(format!("one value in {sets} sets"), check::same_running(&before, &after));
            } else {
                let mean: Vec<f64> = before.mean.iter().map(|mean| mean * 0.5 + 2.0).collect();
                let halved: Vec<f64> = before.variance.iter().map(|variance| variance * 0.5).collect();
                let bound = |c: usize| 4.0 * check::U * (mean[c].abs() + 4.0);
                hold("mean of one value", check::within("running", &after.mean, &mean, bound));
                hold("variance of one value", check::within("running", &after.variance, &halved, |_| 0.0));
            }
        }
    }
    let poison = vec![wgpu_batchnorm::SavedStatistics { invstd: f32::NAN, ..Default::default() }; 3];
    let empty = [GradientSums::default(); 3];
    let (sums, dgamma, dbeta) =
        stages::merge_gradient_sums(gpu, &empty, &poison, Gradients::default(), Layout::Separate);
    assert_eq!((sums, dgamma, dbeta), (empty.to_vec(), vec![0.0; 3], vec![0.0; 3]));
}

/// Moments whose merge is exact in f32, so that the expected record is known to the last bit: sets far apart, empty
/// sets between them, in every position. Chan's term with delta squared is all of the variance here.
fn merge_of_chosen_moments(gpu: &Gpu) {
    let before = Case::random(Shape::new(&[2, 1], 1, Dtype::F32).expect("a shape"), 63, 0.0).running;
    let set = |pivot| Moments { count: 2, pivot, difference: 0.0, m2: 4.0 };
    let none = Moments { count: 0, pivot: f32::NAN, difference: f32::NAN, m2: f32::NAN };
    for sets in [
        vec![set(8.0), set(16.0)],
        vec![none, set(8.0), none, none, set(16.0)],
        vec![set(8.0), none, set(16.0), none],
    ] {
        let (saved, _) = stages::merge_moments(gpu, &sets, &before, 1e-5, None, Layout::Separate);
        // Values 8 -+ 2^0.5 and 16 -+ 2^0.5: mean 12, M2 4 + 4 + 8^2 * 2 * 2 / 4, over 4 values.
        assert_eq!((saved[0].mean(), saved[0].variance), (12.0, 18.0), "{sets:?}");
    }
    // The pair survives the merge: at 2^24 a mean of one f32 could not hold the quarter.
    let far = |difference| Moments { count: 1, pivot: 16_777_216.0, difference, m2: 0.0 };
    let (saved, _) = stages::merge_moments(gpu, &[far(0.0), far(0.5)], &before, 1e-5, None, Layout::Shared);
    assert_eq!((saved[0].mean(), saved[0].variance), (16_777_216.25, 0.0625));
}

/// One value at 1e8 beside ten parts of a million values about 0.5, in every position: the pivot is that of a large
/// part, so that the mean keeps its digits whatever the order.
fn merge_of_unlike_parts(gpu: &Gpu) {
    let before = Case::random(Shape::new(&[2, 1], 1, Dtype::F32).expect("a shape"), 64, 0.0).running;
    let far = Moments { count: 1, pivot: 1e8, difference: 0.0, m2: 0.0 };
    let near = Moments { count: 1_000_000, pivot: 0.5, difference: 0.0, m2: 1e6 };
    let (count, delta) = (1e7 + 1.0, 1e8 - 0.5);
    let mean = 0.5 + delta / count;
    let variance = (1e7 + delta * delta * 1e7 / count) / count;
    for place in 0..=10 {
        let mut sets = vec![near; 10];
        sets.insert(place, far);
        let (saved, _) = stages::merge_moments(gpu, &sets, &before, 1e-5, None, Layout::Separate);
        let place = format!("the far value in place {place}");
        hold(&place, check::within("mean", &[saved[0].mean()], &[mean], |_| 2e-6 * variance.sqrt()));
        hold(
            &place,
            check::within("variance", &[saved[0].variance.into()], &[variance], |_| 4e-6 * variance),
        );
    }
}

/// Sums of small integers are exact in f32: any set that is left out or counted twice shows. Each set of gradients
/// is written if asked for, and nothing else.
fn merge_of_chosen_sums(gpu: &Gpu) {
    for (channels, sets) in [(1usize, 1usize), (1, 100), (3, 64), (5, 63), (17, 3), (70, 65)] {
        let record = |i: usize| GradientSums {
            count: 1 + i as u32,
            dy: (i % 13) as f32 - 4.0,
            dy_centered: (i % 7) as f32 - 5.0,
        };
        let partial: Vec<GradientSums> = (0..channels * sets).map(record).collect();
        let saved = vec![wgpu_batchnorm::SavedStatistics { invstd: 0.5, ..Default::default() }; channels];
        let mut expected = vec![GradientSums::default(); channels];
        for (i, record) in partial.iter().enumerate() {
            let sum = &mut expected[i % channels];
            sum.count += record.count;
            sum.dy += record.dy;
            sum.dy_centered += record.dy_centered;
        }
        for (wants_dgamma, wants_dbeta) in [(true, true), (true, false), (false, true), (false, false)] {
            let gradients =
                Gradients { dx: false, dgamma: wants_dgamma, dbeta: wants_dbeta, dresidual: false };
            let (sums, dgamma, dbeta) =
                stages::merge_gradient_sums(gpu, &partial, &saved, gradients, Layout::Shared);
            assert_eq!(sums, expected, "{channels} channels, {sets} sets");
            for (c, sum) in expected.iter().enumerate() {
                let right = |wanted: bool, actual: f64, expected: f32| {
                    if wanted { actual == f64::from(expected) } else { actual.is_nan() }
                };
                assert!(right(wants_dgamma, dgamma[c], sum.dy_centered * 0.5), "dgamma of channel {c}");
                assert!(right(wants_dbeta, dbeta[c], sum.dy), "dbeta of channel {c}");
            }
        }
    }
}
