//! Every mistake is refused by name before anything is written.

use wgpu_batchnorm::cpu::{self, BackwardSlices, InferenceSlices, TrainingSlices};
use wgpu_batchnorm::{
    Activation, Affine, BackwardOptions, Dtype, Error, Gradients, InferenceOptions, Momentum, Residual,
    RunningStatistics, RunningTarget, SavedStatistics, Shape, TrainingOptions, Update,
};

const CHANNELS: usize = 3;
const LEN: usize = 2 * CHANNELS * 4;

fn shape() -> Shape {
    Shape::new(&[2, CHANNELS, 4], 1, Dtype::F32).expect("a shape")
}

/// Lengths of the slices of training; `None` leaves an optional one out.
#[derive(Clone, Copy)]
struct Lengths {
    x: usize,
    y: usize,
    gamma: Option<usize>,
    beta: Option<usize>,
    running_mean: Option<usize>,
    running_var: Option<usize>,
    saved: usize,
}

const RIGHT: Lengths = Lengths {
    x: LEN,
    y: LEN,
    gamma: Some(CHANNELS),
    beta: Some(CHANNELS),
    running_mean: Some(CHANNELS),
    running_var: Some(CHANNELS),
    saved: CHANNELS,
};

/// What training says to that; nothing that it may write has changed if it refuses.
fn training(shape: &Shape, options: &TrainingOptions, lengths: Lengths) -> Result<(), Error> {
    let full = |len: Option<usize>| len.map(|len| vec![7.0f32; len]);
    let x: Vec<f32> = (0..lengths.x).map(|i| i as f32).collect();
    let (mut y, mut saved) = (vec![7.0; lengths.y], vec![SavedStatistics::default(); lengths.saved]);
    let (gamma, beta) = (full(lengths.gamma), full(lengths.beta));
    let (mut mean, mut variance) = (full(lengths.running_mean), full(lengths.running_var));
    let outcome = cpu::training(
        shape,
        options,
        TrainingSlices {
            x: &x,
            y: &mut y,
            gamma: gamma.as_deref(),
            beta: beta.as_deref(),
            running_mean: mean.as_deref_mut(),
            running_var: variance.as_deref_mut(),
            saved: &mut saved,
        },
    );
    if outcome.is_err() {
        let written = [Some(y), mean, variance].into_iter().flatten().flatten();
        assert!(written.into_iter().all(|value| value == 7.0));
        assert!(saved.iter().all(|saved| *saved == SavedStatistics::default()));
    }
    outcome
}

#[test]
fn of_training() {
    let options = TrainingOptions::default();
    assert_eq!(training(&shape(), &options, RIGHT), Ok(()));
    let length = |argument, got, needs| Err(Error::Length { argument, got, needs });
    for (lengths, expected) in [
        (Lengths { x: LEN - 1, ..RIGHT }, length("x", LEN - 1, LEN)),
        (Lengths { y: LEN + 1, ..RIGHT }, length("y", LEN + 1, LEN)),
        (Lengths { gamma: Some(2), ..RIGHT }, length("gamma", 2, CHANNELS)),
        (Lengths { beta: Some(4), ..RIGHT }, length("beta", 4, CHANNELS)),
        (Lengths { running_mean: Some(0), ..RIGHT }, length("running_mean", 0, CHANNELS)),
        (Lengths { running_var: Some(2), ..RIGHT }, length("running_var", 2, CHANNELS)),
        (Lengths { saved: 2, ..RIGHT }, length("saved", 2, CHANNELS)),
        (Lengths { gamma: None, ..RIGHT }, Err(Error::Missing { argument: "gamma", needs: 12 })),
        (Lengths { beta: None, ..RIGHT }, Err(Error::Missing { argument: "beta", needs: 12 })),
        (
            Lengths { running_mean: None, ..RIGHT },
            Err(Error::Missing { argument: "running_mean", needs: 12 }),
        ),
        (Lengths { running_var: None, ..RIGHT }, Err(Error::Missing { argument: "running_var", needs: 12 })),
    ] {
        assert_eq!(training(&shape(), &options, lengths), expected);
    }
    let bare = TrainingOptions { affine: Affine::None, running: None, ..options };
    for (lengths, argument) in [
        (RIGHT, "gamma"),
        (Lengths { gamma: None, ..RIGHT }, "beta"),
        (Lengths { gamma: None, beta: None, ..RIGHT }, "running_mean"),
        (Lengths { gamma: None, beta: None, running_mean: None, ..RIGHT }, "running_var"),
    ] {
        assert_eq!(training(&shape(), &bare, lengths), Err(Error::Unexpected { argument }));
    }

    for eps in [0.0, -1e-5, 1e-39, f32::NAN, f32::INFINITY] {
        let refused = training(&shape(), &TrainingOptions { eps, ..options }, RIGHT);
        assert!(matches!(refused, Err(Error::Eps { .. })), "{eps}");
    }
    for momentum in [f32::NAN, f32::INFINITY] {
        let running = Some(RunningStatistics { momentum: Momentum::OfNew(momentum), ..Default::default() });
        let refused = training(&shape(), &TrainingOptions { running, ..options }, RIGHT);
        assert!(matches!(refused, Err(Error::Momentum { .. })), "{momentum}");
    }
    // What the GPU's operations have and these do not.
    let needs = "which updates them in place, by a constant momentum, with every batch";
    for running in [
        RunningStatistics { momentum: Momentum::Cumulative, ..Default::default() },
        RunningStatistics { update: Update::IfChannelFinite, ..Default::default() },
        RunningStatistics { target: RunningTarget::Fresh, ..Default::default() },
    ] {
        let refused = training(&shape(), &TrainingOptions { running: Some(running), ..options }, RIGHT);
        assert_eq!(refused, Err(Error::Cpu { argument: "running", needs }));
    }
    let needs = "which ends with beta: apply it to the result";
    let activation = Activation::Relu;
    let refused = training(&shape(), &TrainingOptions { activation, ..options }, RIGHT);
    assert_eq!(refused, Err(Error::Cpu { argument: "activation", needs }));
    let refused = training(&shape(), &TrainingOptions { residual: Residual::Added, ..options }, RIGHT);
    assert_eq!(refused, Err(Error::Cpu { argument: "residual", needs }));
    let single = Shape::new(&[1, CHANNELS], 1, Dtype::F32).expect("a shape");
    let refused = training(&single, &options, Lengths { x: CHANNELS, y: CHANNELS, ..RIGHT });
    assert_eq!(refused, Err(Error::TooFewValues { got: 1, shape: single.to_string() }));
    let halves = Shape::new(&[2, CHANNELS, 4], 1, Dtype::F16).expect("a shape");
    let refused = training(&halves, &options, RIGHT);
    assert_eq!(refused, Err(Error::Dtype { got: "f16", needs: "f32" }));
    let said = "shape: storage type is f16, needs to be f32, that of the slices";
    assert_eq!(refused.unwrap_err().to_string(), said);
}

#[test]
fn of_inference() {
    let parameters = [1.0; CHANNELS];
    let run = |shape: &Shape, options: InferenceOptions, lengths: [usize; 4], gamma: Option<&[f32]>| {
        let (x, mut y) = (vec![1.0f32; lengths[0]], vec![7.0; lengths[1]]);
        let slices = InferenceSlices {
            x: &x,
            y: &mut y,
            gamma,
            beta: Some(&parameters),
            running_mean: &parameters[..lengths[2]],
            running_var: &parameters[..lengths[3]],
        };
        let outcome = cpu::inference(shape, &options, slices);
        assert!(outcome.is_ok() || y.iter().all(|&y| y == 7.0));
        outcome
    };
    let (options, all) = (InferenceOptions::default(), Some(&parameters[..]));
    let right = [LEN, LEN, CHANNELS, CHANNELS];
    assert_eq!(run(&shape(), options, right, all), Ok(()));
    for (which, argument) in ["x", "y", "running_mean", "running_var"].into_iter().enumerate() {
        let mut lengths = right;
        lengths[which] -= 1;
        let (got, needs) = (lengths[which], right[which]);
        assert_eq!(run(&shape(), options, lengths, all), Err(Error::Length { argument, got, needs }));
    }
    assert_eq!(run(&shape(), options, right, None), Err(Error::Missing { argument: "gamma", needs: 12 }));
    let beta_only = InferenceOptions { affine: Affine::Beta, ..options };
    assert_eq!(run(&shape(), beta_only, right, all), Err(Error::Unexpected { argument: "gamma" }));
    for eps in [-1e-5, f32::NAN, f32::INFINITY] {
        let refused = run(&shape(), InferenceOptions { eps, ..options }, right, all);
        assert!(matches!(refused, Err(Error::Eps { .. })), "{eps}");
    }
    // What training refuses, inference takes.
    assert_eq!(run(&shape(), InferenceOptions { eps: 0.0, ..options }, right, all), Ok(()));
    let single = Shape::new(&[1, CHANNELS], 1, Dtype::F32).expect("a shape");
    assert_eq!(run(&single, options, [CHANNELS; 4], all), Ok(()));
    let halves = Shape::new(&[2, CHANNELS, 4], 1, Dtype::F16).expect("a shape");
    assert_eq!(run(&halves, options, right, all), Err(Error::Dtype { got: "f16", needs: "f32" }));
}

#[test]
fn of_backward() {
    let saved = [SavedStatistics { pivot: 0.0, difference: 0.0, variance: 1.0, invstd: 1.0 }; CHANNELS];
    let gamma = [1.0; CHANNELS];
    let run = |gradients: Gradients, lengths: [usize; 3], given: [bool; 4], len: usize| {
        let (x, dy) = (vec![1.0f32; lengths[0]], vec![1.0; lengths[1]]);
        let (mut dx, mut dgamma, mut dbeta) = (vec![7.0; LEN], vec![7.0; len], vec![7.0; CHANNELS]);
        let slices = BackwardSlices {
            x: &x,
            dy: &dy,
            saved: &saved[..lengths[2]],
            gamma: given[0].then_some(&gamma),
            dx: given[1].then_some(&mut dx),
            dgamma: given[2].then_some(&mut dgamma),
            dbeta: given[3].then_some(&mut dbeta),
        };
        let options = BackwardOptions { gradients, ..Default::default() };
        let outcome = cpu::backward(&shape(), &options, slices);
        let mut written = dx.iter().chain(&dgamma).chain(&dbeta);
        assert!(outcome.is_ok() || written.all(|&value| value == 7.0));
        outcome
    };
    let (all, right, given) = (Gradients::default(), [LEN, LEN, CHANNELS], [true; 4]);
    assert_eq!(run(all, right, given, CHANNELS), Ok(()));
    for (which, argument) in ["x", "dy", "saved"].into_iter().enumerate() {
        let mut lengths = right;
        lengths[which] -= 1;
        let (got, needs) = (lengths[which], right[which]);
        assert_eq!(run(all, lengths, given, CHANNELS), Err(Error::Length { argument, got, needs }));
    }
    assert_eq!(run(all, right, given, 2), Err(Error::Length { argument: "dgamma", got: 2, needs: CHANNELS }));
    for (which, argument) in ["gamma", "dx", "dgamma", "dbeta"].into_iter().enumerate() {
        let mut given = given;
        given[which] = false;
        let needs = if argument == "dx" { 4 * LEN } else { 4 * CHANNELS } as u64;
        assert_eq!(run(all, right, given, CHANNELS), Err(Error::Missing { argument, needs }));
    }
    let none = Gradients { dx: false, dgamma: false, dbeta: false, dresidual: false };
    assert_eq!(run(none, right, [false; 4], CHANNELS), Err(Error::NoGradients));
    let one = Gradients { dbeta: true, ..none };
    assert_eq!(run(one, right, [false, false, false, true], CHANNELS), Ok(()));
    for (which, argument) in ["gamma", "dx", "dgamma"].into_iter().enumerate() {
        let mut given = [false, false, false, true];
        given[which] = true;
        assert_eq!(run(one, right, given, CHANNELS), Err(Error::Unexpected { argument }));
    }
}
