//! What holds whatever the numbers are.

use wgpu_batchnorm::reference;
use wgpu_batchnorm::{
    Affine, Backward, BackwardOptions, Context, Dtype, Momentum, RunningStatistics, Shape, Training,
    TrainingOptions, wgpu,
};

use crate::Test;
use crate::support::arena::{Arena, Layout};
use crate::support::case::{Case, channel};
use crate::support::check::{self, Data, hold};
use crate::support::gpu::Gpu;
use crate::support::run::{self, BackwardSlots, Differentiated, Trained, TrainingSlots, submit};

pub const TESTS: &[Test] = &[
    ("same_bits_every_time", same_bits_every_time),
    ("scratch_does_not_matter", scratch_does_not_matter),
    ("f16_tail_is_kept", f16_tail_is_kept),
    ("channels_are_independent", channels_are_independent),
    ("layouts_agree", layouts_agree),
    ("scale_invariance", scale_invariance),
    ("gradient_identities", gradient_identities),
    ("finite_differences", finite_differences),
    ("empty_batch", empty_batch),
    ("forward_and_backward_in_one_recording", forward_and_backward_in_one_recording),
    ("trained_twice", trained_twice),
];

fn shape(dims: &[usize], axis: usize, dtype: Dtype) -> Shape {
    Shape::new(dims, axis, dtype).expect("a shape")
}

/// Shapes that are shared out in each way: one chunk, many, channels side by side; word by word, and in blocks of one
/// channel and of several.
fn shapes() -> Vec<Shape> {
    let dims: [(&[usize], usize); 5] =
        [(&[8, 17, 49], 1), (&[2, 3, 9000], 1), (&[500, 40], 1), (&[8, 40, 49], 1), (&[3, 11, 24, 24], 1)];
    let shapes = |dtype| dims.map(|(dims, axis)| shape(dims, axis, dtype));
    Dtype::ALL.into_iter().flat_map(shapes).collect()
}

/// Each shape with the layers of each strategy that serves it.
fn all_layers(gpu: &Gpu) -> Vec<(Shape, (Training, Backward))> {
    let (forward, gradients) = (TrainingOptions::default(), BackwardOptions::default());
    let of_shape = |shape: Shape| {
        let trainings = run::trainings(gpu, &shape, &forward);
        let backwards = run::backwards(gpu, &shape, &gradients);
        // Where only one of the two is served by a strategy, the other is by the last.
        let (mut backwards, last) = (backwards.into_iter(), Backward::new(&gpu.context, &shape, gradients));
        let mut last = Some(last.expect("backward"));
        let next = move |training: Training| {
            let backward = backwards.next().or_else(|| last.take());
            backward.map(|backward| (shape, (training, backward)))
        };
        trainings.into_iter().filter_map(next).collect::<Vec<_>>()
    };
    shapes().into_iter().flat_map(of_shape).collect()
}

/// The same layers with nothing compiled yet.
fn anew(context: &Context, (training, backward): &(Training, Backward)) -> (Training, Backward) {
    let training = Training::from_plan(context, training.plan().clone()).expect("training");
    (training, Backward::from_plan(context, backward.plan().clone()).expect("backward"))
}

fn layers(context: &Context, shape: &Shape) -> (Training, Backward) {
    let training = Training::new(context, shape, TrainingOptions::default()).expect("training");
    (training, Backward::new(context, shape, BackwardOptions::default()).expect("backward"))
}

fn both(
    gpu: &Gpu,
    (training, backward): &(Training, Backward),
    case: &Case,
    layout: Layout,
) -> (Trained, Differentiated) {
    let trained = run::training(gpu, training, case, &TrainingOptions::default(), layout);
    let options = BackwardOptions::default();
    let differentiated = run::backward(gpu, backward, case, &trained.saved, &options, layout);
    (trained, differentiated)
}

/// 50 runs give the same bits, and so does memory laid out in another way, and pipelines compiled anew: sums have
/// one order.
fn same_bits_every_time(gpu: &Gpu) {
    for (shape, usual) in all_layers(gpu) {
        let case = Case::random(shape, 51, 100.0);
        let first = both(gpu, &usual, &case, Layout::Separate);
        let again = |layers: &(Training, Backward), layout, what: &str| {
            let (trained, differentiated) = both(gpu, layers, &case, layout);
            assert!(trained.bits == first.0.bits, "{}: {what}", usual.0.plan());
            assert!(differentiated.bits == first.1.bits, "{}: {what}", usual.1.plan());
        };
        for run in 1..50 {
            again(&usual, Layout::ALL[run % 2], &format!("run {run}"));
        }
        again(&anew(&gpu.fresh_context(), &usual), Layout::Separate, "a fresh context");
        again(&anew(&gpu.fresh_context(), &usual), Layout::Shared, "a fresh context, one buffer");
    }
}

/// What was in outputs and workspace before has no influence: zeros, ones, infinities, NaN.
fn scratch_does_not_matter(gpu: &Gpu) {
    for (shape, (training, backward)) in all_layers(gpu) {
        let case = Case::random(shape, 52, 10.0);
        let (forward, gradients) = (TrainingOptions::default(), BackwardOptions::default());
        let mut first: Option<(Vec<u32>, Vec<u32>)> = None;
        for poison in [0, 0x3f80_0000, 0x7f80_0000, 0x7fc1_7e17, u32::MAX] {
            let mut arena = Arena::filled(gpu, Layout::Separate, poison);
            let slots = TrainingSlots::place(&mut arena, &case, training.workspace_size());
            let backward_slots = BackwardSlots::place(&mut arena, &case, backward.workspace_size());
            let (ranges, backward_ranges) =
                (slots.ranges(&arena), backward_slots.ranges(&arena, slots.saved));
            submit(gpu, |encoder| {
                training.encode(encoder, &TrainingSlots::buffers(&ranges, &forward)).expect("training");
                let buffers = BackwardSlots::buffers(&backward_ranges, &gradients);
                backward.encode(encoder, &buffers).expect("backward");
            });
            let written = [slots.written(&forward), backward_slots.written(&gradients)].concat();
            let memory = arena.read(&written);
            let bits = (slots.results(&case, &memory).bits, backward_slots.results(&case, &memory).bits);
            let first = first.get_or_insert_with(|| bits.clone());
            assert!(bits == *first, "{}: over {poison:#x}", training.plan());
        }
    }
}

/// The last word of an f16 tensor of odd length is written in its lower half alone.
fn f16_tail_is_kept(gpu: &Gpu) {
    for dims in [[3, 5, 1], [3, 5, 7], [257, 3, 5]] {
        let shape = shape(&dims, 1, Dtype::F16);
        let (trained, differentiated) =
            both(gpu, &layers(&gpu.context, &shape), &Case::random(shape, 53, 1.0), Layout::Shared);
        let words = shape.size_in_bytes() as usize / 4;
        for bits in [trained.bits, differentiated.bits] {
            assert_eq!(bits[words - 1] >> 16, 0x7fc1, "{shape}: the half that pads the tensor");
        }
    }
}

/// Channels in another order give the same results in that order, bit by bit: no channel sees another.
fn channels_are_independent(gpu: &Gpu) {
    for (shape, layers) in all_layers(gpu) {
        let case = Case::random(shape, 54, 3.0);
        let channels = shape.channels() as usize;
        // 7 has no factor in common with 17, 3, 40 and 11.
        let source = |c: usize| (c * 7 + 2) % channels;
        let inner = shape.inner() as usize;
        let moved = |i: usize| {
            let c = channel(&shape, i);
            i + source(c) * inner - c * inner
        };
        let tensor = |values: &[f64]| (0..values.len()).map(|i| values[moved(i)]).collect::<Vec<_>>();
        let parameter = |values: &[f64]| (0..channels).map(|c| values[source(c)]).collect::<Vec<_>>();
        let permuted = Case {
            shape,
            x: tensor(&case.x),
            dy: tensor(&case.dy),
            gamma: parameter(&case.gamma),
            beta: parameter(&case.beta),
            running: reference::Statistics {
                mean: parameter(&case.running.mean),
                variance: parameter(&case.running.variance),
            },
        };
        let (trained, gradients) = both(gpu, &layers, &case, Layout::Separate);
        let (permuted, permuted_gradients) = both(gpu, &layers, &permuted, Layout::Separate);
        assert!(permuted.y == tensor(&trained.y), "{shape}: y");
        assert!(permuted.running.variance == parameter(&trained.running.variance), "{shape}: variance");
        assert!(permuted_gradients.dx == tensor(&gradients.dx), "{shape}: dx");
        assert!(permuted_gradients.dgamma == parameter(&gradients.dgamma), "{shape}: dgamma");
    }
}

/// [N, C, L] and [N, L, C] of the same values are reduced in different orders: they differ by twice the bounds of
/// either at most.
fn layouts_agree(gpu: &Gpu) {
    for dtype in Dtype::ALL {
        for (n, c, l) in [(4, 5, 6), (2, 40, 49), (3, 3, 2000)] {
            let (first, last) = (shape(&[n, c, l], 1, dtype), shape(&[n, l, c], 2, dtype));
            let case = Case::random(first, 55, 1e3);
            let transposed = |values: &[f64]| -> Vec<f64> {
                (0..values.len()).map(|i| values[((i / (l * c)) * c + i % c) * l + i / c % l]).collect()
            };
            let channels_last =
                Case { shape: last, x: transposed(&case.x), dy: transposed(&case.dy), ..case.clone() };
            let options = TrainingOptions::default();
            let step = |case| run::step(gpu, case, &options, Data::Plain, Layout::Separate);
            let (a, da) = step(&case).unwrap_or_else(|wrong| panic!("{first}: {wrong}"));
            let (b, db) = step(&channels_last).unwrap_or_else(|wrong| panic!("{last}: {wrong}"));
            let half = if dtype == Dtype::F16 { 1e-3 } else { 0.0 };
            let y = transposed(&a.y);
            // |gamma| is below 3 and |x_hat| below 5.
            hold(last, check::within("y", &b.y, &y, |i| 2.0 * 2e-6 * 16.0 + half * y[i].abs()));
            let largest = da.dgamma.iter().fold(0.0f64, |a, b| a.max(b.abs()));
            hold(last, check::within("dgamma", &db.dgamma, &da.dgamma, |_| 4e-5 * largest));
        }
    }
}

/// With an eps that is nothing beside the variance, BN(a x) is BN(x): within the bounds of both, and bit by bit for
/// a power of two, where nothing is rounded differently.
fn scale_invariance(gpu: &Gpu) {
    for dims in [[8, 3, 49], [300, 5, 1]] {
        let shape = shape(&dims, 1, Dtype::F32);
        let options =
            TrainingOptions { eps: 1e-20, affine: Affine::None, running: None, ..Default::default() };
        let layer = Training::new(&gpu.context, &shape, options).expect("a layer");
        let case = Case::random(shape, 56, 2.0);
        let y = run::training(gpu, &layer, &case, &options, Layout::Separate).y;
        for scale in [3.7, 1e-3, 1e6, 1024.0, 2f64.powi(-20)] {
            let scaled = case.clone().with_x(|_, _, x| x * scale);
            let scaled = run::training(gpu, &layer, &scaled, &options, Layout::Separate).y;
            // 2e-6 (1 + 4) for each, and half a unit of the rounding of a x.
            let bound = if scale.log2().fract() == 0.0 { 0.0 } else { 2.0 * 1e-5 + 2e-6 };
            hold(format!("{shape} times {scale}"), check::within("y", &scaled, &y, |_| bound));
        }
    }
}

/// A constant added to x changes nothing, so the sum of dx is 0; x scaled changes what eps is, so the sum of dx x_hat
/// is gamma invstd sum(dy x_hat) eps invstd^2. Both to 8 U of the sum of the terms' magnitudes.
fn gradient_identities(gpu: &Gpu) {
    for dims in [[8, 17, 49], [2, 3, 9000], [500, 40, 1]] {
        let shape = shape(&dims, 1, Dtype::F32);
        let case = Case::random(shape, 57, 2.0);
        let eps = 0.5f32;
        let options = TrainingOptions { eps, ..Default::default() };
        let step = run::step(gpu, &case, &options, Data::Plain, Layout::Separate);
        let (_, gradients) = step.unwrap_or_else(|wrong| panic!("{shape}: {wrong}"));
        let batch = reference::statistics(&shape, &case.x).expect("lengths");
        for c in 0..shape.channels() as usize {
            let invstd = 1.0 / (batch.variance[c] + f64::from(eps)).sqrt();
            let (mut sum, mut projection, mut terms, mut dy_x_hat) = (0.0, 0.0, 0.0, 0.0);
            for i in (0..case.x.len()).filter(|&i| case.channel(i) == c) {
                let x_hat = (case.x[i] - batch.mean[c]) * invstd;
                sum += gradients.dx[i];
                projection += gradients.dx[i] * x_hat;
                terms += gradients.dx[i].abs();
                dy_x_hat += case.dy[i] * x_hat;
            }
            let expected = case.gamma[c] * invstd * dy_x_hat * f64::from(eps) * invstd * invstd;
            assert!(sum.abs() <= 8.0 * check::U * terms, "{shape}: dx sums to {sum:e} of {terms:e}");
            let error = (projection - expected).abs();
            assert!(error <= 8.0 * check::U * terms, "{shape}: {projection:e} for {expected:e} of {terms:e}");
        }
    }
}

/// The gradients of the loss sum(dy y) against central differences of the f64 reference with a step of 1e-5: its own
/// error is 1e-10 of the third derivative, nothing beside the bounds of `check`.
fn finite_differences(gpu: &Gpu) {
    for (dims, axis) in [([3, 2, 4], 1), ([3, 4, 2], 2), ([2, 6, 1], 0)] {
        let shape = shape(&dims, axis, Dtype::F32);
        let case = Case::random(shape, 58, 1.0);
        let loss = |case: &Case| -> f64 {
            let batch = reference::statistics(&shape, &case.x).expect("lengths");
            let (gamma, beta) = (Some(&case.gamma[..]), Some(&case.beta[..]));
            let eps = f64::from(1e-5f32);
            let y = reference::normalize(&shape, &case.x, &batch, gamma, beta, eps).expect("lengths");
            y.iter().zip(&case.dy).map(|(y, dy)| y * dy).sum()
        };
        let slope = |nudge: &dyn Fn(&mut Case, f64)| {
            let (mut below, mut above) = (case.clone(), case.clone());
            nudge(&mut below, -1e-5);
            nudge(&mut above, 1e-5);
            (loss(&above) - loss(&below)) / 2e-5
        };
        let (_, gradients) = both(gpu, &layers(&gpu.context, &shape), &case, Layout::Separate);
        let steepest = gradients.dx.iter().fold(1.0f64, |a, b| a.max(b.abs()));
        for (i, dx) in gradients.dx.iter().enumerate() {
            let expected = slope(&|case, step| case.x[i] += step);
            assert!((dx - expected).abs() <= 1e-5 * steepest, "{shape}: dx {dx} for {expected} at {i}");
        }
        for c in 0..shape.channels() as usize {
            let (dgamma, dbeta) = (gradients.dgamma[c], gradients.dbeta[c]);
            let expected = slope(&|case, step| case.gamma[c] += step);
            assert!((dgamma - expected).abs() <= 1e-5, "{shape}: dgamma {dgamma} for {expected}");
            let expected = slope(&|case, step| case.beta[c] += step);
            assert!((dbeta - expected).abs() <= 1e-5, "{shape}: dbeta {dbeta} for {expected}");
        }
    }
}

/// An empty batch leaves everything as it is, and gives zero dgamma and dbeta even where what was saved is NaN.
fn empty_batch(gpu: &Gpu) {
    for dtype in Dtype::ALL {
        for (dims, axis) in [(&[0, 5, 7][..], 1), (&[4, 5, 0], 1), (&[0, 70], 1), (&[3, 0], 0)] {
            let shape = shape(dims, axis, dtype);
            let case = Case::random(shape, 59, 1.0);
            for layout in Layout::ALL {
                let (trained, gradients) = both(gpu, &layers(&gpu.context, &shape), &case, layout);
                hold(shape, check::training(&case, &TrainingOptions::default(), &trained));
                let zeros = vec![0.0; case.gamma.len()];
                hold(shape, check::within("dgamma", &gradients.dgamma, &zeros, |_| 0.0));
                hold(shape, check::within("dbeta", &gradients.dbeta, &zeros, |_| 0.0));
            }
        }
    }
}

/// Training and backward in one encoder, or in one pass of the caller's, the second reading what the first has
/// saved and both in the same workspace: the bits of two submissions.
fn forward_and_backward_in_one_recording(gpu: &Gpu) {
    let (forward, gradients) = (TrainingOptions::default(), BackwardOptions::default());
    for (shape, layers) in all_layers(gpu) {
        let case = Case::random(shape, 60, 5.0);
        let (trained, differentiated) = both(gpu, &layers, &case, Layout::Separate);
        let (training, backward) = &layers;
        for layout in Layout::ALL {
            for one_pass in [false, true] {
                let mut arena = Arena::new(gpu, layout);
                let workspace = training.workspace_size().max(backward.workspace_size());
                let slots = TrainingSlots::place(&mut arena, &case, workspace);
                let backward_slots = BackwardSlots {
                    x: slots.x,
                    gamma: slots.gamma,
                    workspace: slots.workspace,
                    ..BackwardSlots::place(&mut arena, &case, 16)
                };
                let (ranges, backward_ranges) =
                    (slots.ranges(&arena), backward_slots.ranges(&arena, slots.saved));
                let buffers = TrainingSlots::buffers(&ranges, &forward);
                let backward_buffers = BackwardSlots::buffers(&backward_ranges, &gradients);
                submit(gpu, |encoder| {
                    if one_pass {
                        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                        training.record(&mut pass, &buffers).expect("training");
                        backward.record(&mut pass, &backward_buffers).expect("backward");
                    } else {
                        training.encode(encoder, &buffers).expect("training");
                        backward.encode(encoder, &backward_buffers).expect("backward");
                    }
                });
                let memory =
                    arena.read(&[slots.written(&forward), backward_slots.written(&gradients)].concat());
                let place = format!("{}: {layout:?}, one pass {one_pass}", training.plan());
                assert!(slots.results(&case, &memory).bits == trained.bits, "{place}: forward");
                assert!(
                    backward_slots.results(&case, &memory).bits == differentiated.bits,
                    "{place}: backward"
                );
            }
        }
    }
}

/// Training recorded twice, in one encoder and in one pass, updates the running statistics twice.
fn trained_twice(gpu: &Gpu) {
    let running = Some(RunningStatistics { momentum: Momentum::OfNew(0.25), ..Default::default() });
    let options = TrainingOptions { running, ..Default::default() };
    let of_shape = |shape| run::trainings(gpu, &shape, &options).into_iter().map(move |layer| (shape, layer));
    for (shape, layer) in shapes().into_iter().flat_map(of_shape) {
        let mut case = Case::random(shape, 61, 5.0);
        let once = run::training(gpu, &layer, &case, &options, Layout::Separate);
        for one_pass in [false, true] {
            let mut arena = Arena::new(gpu, Layout::Shared);
            let slots = TrainingSlots::place(&mut arena, &case, layer.workspace_size());
            let ranges = slots.ranges(&arena);
            let buffers = TrainingSlots::buffers(&ranges, &options);
            submit(gpu, |encoder| {
                if one_pass {
                    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                    layer.record(&mut pass, &buffers).expect("training");
                    layer.record(&mut pass, &buffers).expect("training");
                } else {
                    layer.encode(encoder, &buffers).expect("training");
                    layer.encode(encoder, &buffers).expect("training");
                }
            });
            let twice = slots.results(&case, &arena.read(&slots.written(&options)));
            assert!(twice.y == once.y && twice.saved == once.saved, "{}: one pass {one_pass}", layer.plan());
            let before = std::mem::replace(&mut case.running, once.running.clone());
            hold(layer.plan(), check::training(&case, &options, &twice));
            case.running = before;
        }
    }
}
