//! Mistakes that are found without a device, each by value and by message.

use wgpu_batchnorm::{
    Activation, Affine, BackwardOptions, Caps, Dtype, Error, FrozenBackwardOptions, Gathered, Gradients,
    InferenceOptions, Layer, MAX_SETS, Momentum, Plan, RunningStatistics, RunningTarget, RunningVariance,
    Shape, Strategy, TrainingOptions, Update, reference,
};

const CAPS: Caps = Caps::WEBGPU;

fn shape(dims: &[usize]) -> Shape {
    Shape::new(dims, 1, Dtype::F32).expect("a shape")
}

#[track_caller]
fn is<T: std::fmt::Debug>(outcome: Result<T, Error>, error: &Error, message: &str) {
    let actual = outcome.expect_err(message);
    assert_eq!(&actual, error);
    assert_eq!(actual.to_string(), message);
}

#[test]
fn rank() {
    for (dims, got) in [(&[][..], 0), (&[5], 1), (&[usize::MAX], 1)] {
        let message = format!("shape: rank is {got}, needs at least 2 (a batch and a channel dimension)");
        is(Shape::new(dims, 0, Dtype::F32), &Error::Rank { got }, &message);
    }
}

#[test]
fn channel_axis() {
    for got in [2, 3, usize::MAX] {
        let message = format!("channel_axis: is {got}, needs to be below the rank, 2");
        is(Shape::new(&[2, 3], got, Dtype::F32), &Error::ChannelAxis { got, rank: 2 }, &message);
    }
}

#[test]
fn no_channels() {
    let message = "shape: has 0 channels, needs at least 1";
    is(Shape::new(&[2, 0, 3], 1, Dtype::F32), &Error::NoChannels, message);
    is(Shape::new(&[0, 0], 1, Dtype::F16), &Error::NoChannels, message);
    is(
        Plan::merge_moments(Gathered { sets: 1, channels: 0 }, 1e-5, None, &CAPS),
        &Error::NoChannels,
        message,
    );
    is(
        Plan::merge_gradient_sums(Gathered { sets: 1, channels: 0 }, Gradients::default(), &CAPS),
        &Error::NoChannels,
        message,
    );
}

/// i32::MAX values are taken and one more is not; products that overflow u64 saturate, in every position.
#[test]
fn too_many_values() {
    let max = i32::MAX as u64;
    let huge = usize::MAX;
    assert!(Shape::new(&[max as usize, 1], 1, Dtype::F32).is_ok());
    assert!(Shape::new(&[1, max as usize], 1, Dtype::F16).is_ok());
    for (dims, got) in [
        (&[max as usize + 1, 1][..], max + 1),
        (&[1, max as usize + 1], max + 1),
        (&[1 << 16, 3, 1 << 16], 1 << 32),
        (&[huge, huge], u64::MAX),
        (&[huge, 1, 2], u64::MAX),
        (&[2, huge], u64::MAX),
        (&[1 << 32, 1 << 32, 1], u64::MAX),
        (&[0, max as usize + 1], max + 1),
        (&[0, huge, 3], u64::MAX),
    ] {
        let message = format!("shape: holds {got} values or channels, needs at most {max}");
        is(Shape::new(dims, 1, Dtype::F32), &Error::TooManyValues { got, max }, &message);
    }
    // Empty, whatever the rest: nothing to address.
    for dims in [&[0, 3, huge][..], &[huge, 3, 0], &[huge, 1, huge, 0]] {
        let empty = Shape::new(dims, 1, Dtype::F32).expect("an empty shape");
        assert!(empty.is_empty() && empty.size_in_bytes() == 0 && empty.values_per_channel() == 0);
        assert!(Plan::training(&empty, &TrainingOptions::default(), &CAPS).is_ok());
        assert!(Plan::backward(&empty, &BackwardOptions::default(), &CAPS).is_ok());
        assert!(Plan::inference(&empty, &InferenceOptions::default(), &CAPS).is_ok());
    }
}

#[test]
fn too_few_values() {
    let one = Shape::new(&[1, 1, 7, 1], 2, Dtype::F16).expect("a shape");
    let error = || Error::TooFewValues { got: 1, shape: "1x7x1 f16".into() };
    let message = "x: has 1 value per channel, needs more than 1 in training (shape 1x7x1 f16)";
    is(Plan::training(&one, &TrainingOptions::default(), &CAPS), &error(), message);
    is(Plan::backward(&one, &BackwardOptions::default(), &CAPS), &error(), message);
    assert!(Plan::inference(&one, &InferenceOptions::default(), &CAPS).is_ok());
    assert!(Plan::batch_moments(&one, &CAPS).is_ok());
}

#[test]
fn eps() {
    let training = |eps| {
        let options = TrainingOptions { eps, ..Default::default() };
        Plan::training(&shape(&[4, 2]), &options, &CAPS)
    };
    let inference =
        |eps| Plan::inference(&shape(&[4, 2]), &InferenceOptions { eps, ..Default::default() }, &CAPS);
    for got in [0.0, -0.0, -1e-5, 1e-38, f32::INFINITY, f32::NEG_INFINITY] {
        let needs = "finite and at least 1.18e-38 in training";
        let message = format!("eps: is {got}, needs to be {needs}");
        is(training(got), &Error::Eps { got, needs }, &message);
        is(
            Plan::merge_moments(Gathered { sets: 1, channels: 2 }, got, None, &CAPS),
            &Error::Eps { got, needs },
            &message,
        );
    }
    for got in [-1e-5, f32::INFINITY] {
        let needs = "finite and at least 0 in inference";
        is(inference(got), &Error::Eps { got, needs }, &format!("eps: is {got}, needs to be {needs}"));
    }
    assert!(training(f32::MIN_POSITIVE).is_ok() && inference(0.0).is_ok());
    // NaN is not equal to itself.
    for outcome in
        [training(f32::NAN), Plan::merge_moments(Gathered { sets: 1, channels: 2 }, f32::NAN, None, &CAPS)]
    {
        let message = outcome.expect_err("eps of NaN").to_string();
        assert_eq!(message, "eps: is NaN, needs to be finite and at least 1.18e-38 in training");
    }
    let message = inference(f32::NAN).expect_err("eps of NaN").to_string();
    assert_eq!(message, "eps: is NaN, needs to be finite and at least 0 in inference");
    assert!(inference(0.0).is_ok() && training(f32::MIN_POSITIVE).is_ok());
}

#[test]
fn momentum() {
    for got in [f32::INFINITY, f32::NEG_INFINITY] {
        let running = Some(RunningStatistics {
            momentum: Momentum::OfNew(got),
            variance: RunningVariance::Biased,
            ..Default::default()
        });
        let options = TrainingOptions { running, ..Default::default() };
        let message = format!("momentum: is {got}, needs to be finite");
        is(Plan::training(&shape(&[4, 2]), &options, &CAPS), &Error::Momentum { got }, &message);
        is(
            Plan::merge_moments(Gathered { sets: 1, channels: 2 }, 1e-5, running, &CAPS),
            &Error::Momentum { got },
            &message,
        );
    }
    let running = Some(RunningStatistics { momentum: Momentum::OfNew(f32::NAN), ..Default::default() });
    let options = TrainingOptions { running, ..Default::default() };
    let error = Plan::training(&shape(&[4, 2]), &options, &CAPS).expect_err("momentum of NaN");
    assert_eq!(error.to_string(), "momentum: is NaN, needs to be finite");
}

#[test]
fn no_gradients() {
    let gradients = Gradients { dx: false, dgamma: false, dbeta: false, dresidual: false };
    let options = BackwardOptions { affine: Affine::GammaBeta, gradients, ..Default::default() };
    let message = "gradients: none is asked for, needs at least one of dx, dgamma, dbeta, dresidual";
    is(Plan::backward(&shape(&[4, 2]), &options, &CAPS), &Error::NoGradients, message);
    let options = FrozenBackwardOptions { gradients, ..Default::default() };
    is(Plan::frozen_backward(&shape(&[4, 2]), &options, &CAPS), &Error::NoGradients, message);
}

#[test]
fn no_residual() {
    let gradients = Gradients { dresidual: true, ..Gradients::default() };
    let message = "gradients: dresidual is asked for, but the layer is described without a residual";
    let options = BackwardOptions { gradients, ..Default::default() };
    is(Plan::backward(&shape(&[4, 2]), &options, &CAPS), &Error::NoResidual, message);
    let options = FrozenBackwardOptions { gradients, ..Default::default() };
    is(Plan::frozen_backward(&shape(&[4, 2]), &options, &CAPS), &Error::NoResidual, message);
}

/// Numbers that an activation cannot have, in every operation that has one; and those at the edge, which it can.
#[test]
fn activation() {
    let plans = |activation| {
        let layer = Layer { activation, ..Layer::default() };
        let (shape, gradients) = (shape(&[4, 2]), Gradients::default());
        [
            Plan::training(&shape, &layer.training(), &CAPS),
            Plan::inference(&shape, &layer.inference(), &CAPS),
            Plan::backward(&shape, &layer.backward(gradients), &CAPS),
            Plan::frozen_backward(&shape, &layer.frozen_backward(gradients), &CAPS),
        ]
    };
    let (inf, needs) = (f32::INFINITY, "above lo");
    for (activation, error, message) in [
        (
            Activation::LeakyRelu { alpha: inf },
            Error::Activation { argument: "alpha", got: inf, needs: "finite" },
            "activation: alpha is inf, needs to be finite",
        ),
        (
            Activation::Clamp { lo: 1.0, hi: 1.0 },
            Error::Activation { argument: "hi", got: 1.0, needs },
            "activation: hi is 1, needs to be above lo",
        ),
        (
            Activation::Clamp { lo: inf, hi: inf },
            Error::Activation { argument: "hi", got: inf, needs },
            "activation: hi is inf, needs to be above lo",
        ),
    ] {
        for plan in plans(activation) {
            is(plan, &error, message);
        }
    }
    for (activation, message) in [
        (Activation::LeakyRelu { alpha: f32::NAN }, "activation: alpha is NaN, needs to be finite"),
        (Activation::Clamp { lo: f32::NAN, hi: 1.0 }, "activation: lo is NaN, needs to be a number"),
        (Activation::Clamp { lo: 1.0, hi: f32::NAN }, "activation: hi is NaN, needs to be above lo"),
    ] {
        for plan in plans(activation) {
            assert_eq!(plan.expect_err("NaN").to_string(), message);
        }
    }
    for activation in [Activation::LeakyRelu { alpha: -3.0 }, Activation::Clamp { lo: -inf, hi: inf }] {
        assert!(plans(activation).iter().all(Result::is_ok));
    }
}

/// A merge of moments has no counters and no second pair of buffers.
#[test]
fn running() {
    let parts = Gathered { sets: 1, channels: 2 };
    let reason = "a merge knows no counters and no fresh buffers, use RunningUpdate after it";
    for running in [
        RunningStatistics { momentum: Momentum::Cumulative, ..Default::default() },
        RunningStatistics { update: Update::IfLayerFinite, ..Default::default() },
        RunningStatistics { target: RunningTarget::Fresh, ..Default::default() },
    ] {
        let plan = Plan::merge_moments(parts, 1e-5, Some(running), &CAPS);
        is(plan, &Error::Running { reason }, &format!("running: {reason}"));
    }
    let running = RunningStatistics { momentum: Momentum::OfOld(0.9), ..Default::default() };
    assert!(Plan::merge_moments(parts, 1e-5, Some(running), &CAPS).is_ok());
    let running = RunningStatistics { momentum: Momentum::OfOld(f32::INFINITY), ..Default::default() };
    let error = Error::Momentum { got: f32::INFINITY };
    let message = "momentum: is inf, needs to be finite";
    is(Plan::running_update(&shape(&[4, 2]), running, &CAPS), &error, message);
    let one = shape(&[1, 2]);
    let error = Error::TooFewValues { got: 1, shape: one.to_string() };
    let message = format!("x: has 1 value per channel, needs more than 1 in training (shape {one})");
    is(Plan::running_update(&one, RunningStatistics::default(), &CAPS), &error, &message);
}

#[test]
fn sets() {
    for got in [0, MAX_SETS + 1, u32::MAX] {
        let message = format!("sets: is {got}, needs to be between 1 and 65536");
        let error = || Error::Sets { got, max: MAX_SETS };
        is(Plan::merge_moments(Gathered { sets: got, channels: 2 }, 1e-5, None, &CAPS), &error(), &message);
        is(
            Plan::merge_gradient_sums(Gathered { sets: got, channels: 2 }, Gradients::default(), &CAPS),
            &error(),
            &message,
        );
    }
    // Loops of more than 8192 iterations are not planned: 65 536 sets take 8 invocations.
    let narrow = |max_invocations| Caps { max_invocations, ..CAPS };
    let parts = Gathered { sets: MAX_SETS, channels: 2 };
    let limit = "max_compute_invocations_per_workgroup";
    let error = Error::Limit { argument: "sets", limit, got: 4, needs: 8 };
    let message = "sets: needs max_compute_invocations_per_workgroup of at least 8, the device has 4";
    is(Plan::merge_moments(parts, 1e-5, None, &narrow(4)), &error, message);
    assert!(Plan::merge_moments(parts, 1e-5, None, &narrow(8)).is_ok());
    assert!(Plan::merge_moments(Gathered { sets: MAX_SETS, channels: 2 }, 1e-5, None, &CAPS).is_ok());
}

/// Each limit that a plan depends on, at the last value that does and the first that does not.
#[test]
fn limits() {
    let training = |shape: &Shape, caps: &Caps| {
        Plan::training_by(Strategy::General, shape, &TrainingOptions::default(), caps)
    };

    let binding = |max_binding_size| Caps { max_binding_size, ..CAPS };
    assert!(training(&shape(&[64, 3, 4]), &binding(3072)).is_ok());
    let (argument, limit) = ("x", "max_storage_buffer_binding_size");
    // A larger tensor is bound in slices, until they hold nothing: each may begin up to 256 bytes before its values.
    assert!(training(&shape(&[64, 3, 4]), &binding(2048)).is_ok());
    let message = "x: needs max_storage_buffer_binding_size of at least 3072, the device has 256";
    let error = Error::Limit { argument, limit, got: 256, needs: 3072 };
    is(training(&shape(&[64, 3, 4]), &binding(256)), &error, message);
    // Sets times channels overflow 32 bits: 65 536 * 100 000 * 16 bytes.
    let needs = 65_536 * 100_000 * 16;
    let error = Error::Limit { argument: "partial_moments", limit, got: 1 << 27, needs };
    let message = format!("partial_moments: needs {limit} of at least {needs}, the device has {}", 1 << 27);
    is(
        Plan::merge_moments(Gathered { sets: MAX_SETS, channels: 100_000 }, 1e-5, None, &binding(1 << 27)),
        &error,
        &message,
    );

    let workgroups = |max_workgroups| Caps { max_workgroups, ..CAPS };
    let many = shape(&[2, 100, 2]);
    assert!(training(&many, &workgroups(10)).is_ok());
    let (argument, limit) = ("kernel", "max_compute_workgroups_per_dimension");
    let error = Error::Limit { argument, limit, got: 9, needs: 10 };
    let message = format!("kernel: needs {limit} of at least 10, the device has 9");
    is(training(&many, &workgroups(9)), &error, &message);

    let none = Caps { max_invocations: 0, ..CAPS };
    let limit = "max_compute_invocations_per_workgroup";
    let message = format!("kernel: needs {limit} of at least 1, the device has 0");
    is(training(&many, &none), &Error::Limit { argument, limit, got: 0, needs: 1 }, &message);
}

/// The largest shapes and the most extreme limits give a plan or an error, never a panic or an overflow.
#[test]
fn extreme_caps_and_shapes() {
    let max = i32::MAX as usize;
    let shapes =
        [[max, 1, 1], [1, max, 1], [1, 1, max], [2, max / 2, 1], [2, 1, max / 2], [46_340, 46_340, 1]];
    for dtype in Dtype::ALL {
        for dims in shapes {
            let shape = Shape::new(&dims, 1, dtype).expect("a shape");
            for number in [0, 1, 2, 3, 64, 65_535, u32::MAX] {
                for (max_workgroups, max_invocations) in [(number, 256), (65_535, number), (number, number)] {
                    for max_binding_size in [0, 1 << 27, u64::MAX] {
                        for offset_alignment in [0, 1, 256, 1 << 31] {
                            let caps = Caps {
                                max_workgroups,
                                max_invocations,
                                max_binding_size,
                                offset_alignment,
                                ..CAPS
                            };
                            let plans = [
                                Plan::training(&shape, &TrainingOptions::default(), &caps),
                                Plan::backward(&shape, &BackwardOptions::default(), &caps),
                                Plan::inference(&shape, &InferenceOptions::default(), &caps),
                                Plan::merge_moments(
                                    Gathered { sets: MAX_SETS, channels: u32::MAX },
                                    1e-5,
                                    None,
                                    &caps,
                                ),
                            ];
                            for plan in plans.into_iter().flatten() {
                                let within = |launch: &wgpu_batchnorm::Launch| {
                                    launch.grid.iter().all(|&workgroups| workgroups <= max_workgroups)
                                };
                                assert!(plan.launches().iter().all(within), "{plan}");
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn lengths_of_the_reference() {
    let shape = shape(&[2, 3]);
    let x = [0.0; 6];
    let length = |argument, got, needs| {
        (Error::Length { argument, got, needs }, format!("{argument}: has {got} elements, needs {needs}"))
    };
    let (error, message) = length("x", 5, 6);
    is(reference::statistics(&shape, &x[..5]), &error, &message);
    let batch = reference::statistics(&shape, &x).expect("lengths");
    let (error, message) = length("gamma", 2, 3);
    is(reference::normalize(&shape, &x, &batch, Some(&[1.0; 2]), None, 1e-5), &error, &message);
    let (error, message) = length("beta", 4, 3);
    is(reference::normalize(&shape, &x, &batch, None, Some(&[1.0; 4]), 1e-5), &error, &message);
    let (error, message) = length("dy", 0, 6);
    is(reference::backward(&shape, &x, &[], &batch, None, 1e-5), &error, &message);
    let mut short = batch.clone();
    short.mean.pop();
    let (error, message) = length("mean", 2, 3);
    is(reference::normalize(&shape, &x, &short, None, None, 1e-5), &error, &message);
    let mut long = batch.clone();
    long.variance.push(1.0);
    let (error, message) = length("variance", 4, 3);
    is(reference::update_running(&shape, &batch, &long, 0.1, RunningVariance::Unbiased), &error, &message);
}
