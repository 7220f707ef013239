//! The state of a layer, apart from files.

use wgpu_batchnorm::reference::{self, Statistics};
use wgpu_batchnorm::{
    Affine, BatchNormState, Dtype, Error, Momentum, RunningCounters, RunningStatistics, Shape,
};

#[test]
fn a_new_layer() {
    let state = BatchNormState::new(3);
    let expected = BatchNormState {
        weight: Some(vec![1.0; 3]),
        bias: Some(vec![0.0; 3]),
        running_mean: Some(vec![0.0; 3]),
        running_var: Some(vec![1.0; 3]),
        num_batches_tracked: Some(0),
    };
    assert_eq!(state, expected);
    assert_eq!(state.check(3), Ok(()));
}

#[test]
fn which_parameters_there_are() {
    for affine in Affine::ALL {
        let values = |present: bool| present.then(|| vec![1.0]);
        let state = BatchNormState {
            weight: values(affine.has_gamma()),
            bias: values(affine.has_beta()),
            ..BatchNormState::new(1)
        };
        assert_eq!(state.affine(), affine);
    }
}

#[test]
fn channels_are_those_of_any_tensor() {
    let values = || Some(vec![0.5; 7]);
    for state in [
        BatchNormState { weight: values(), ..Default::default() },
        BatchNormState { bias: values(), ..Default::default() },
        BatchNormState { running_mean: values(), ..Default::default() },
        BatchNormState { running_var: values(), ..Default::default() },
    ] {
        assert_eq!(state.channels(), Some(7));
    }
    assert_eq!(BatchNormState { num_batches_tracked: Some(7), ..Default::default() }.channels(), None);
}

/// Of each tensor, its length: by name, what it has and what it needs.
#[test]
fn lengths() {
    let wrong = || Some(vec![0.0; 4]);
    let of = |argument| Err(Error::Length { argument, got: 4, needs: 3 });
    let new = || BatchNormState::new(3);
    assert_eq!(BatchNormState { weight: wrong(), ..new() }.check(3), of("weight"));
    assert_eq!(BatchNormState { bias: wrong(), ..new() }.check(3), of("bias"));
    assert_eq!(BatchNormState { running_mean: wrong(), ..new() }.check(3), of("running_mean"));
    assert_eq!(BatchNormState { running_var: wrong(), ..new() }.check(3), of("running_var"));
    let error = new().check(u32::MAX).expect_err("too few");
    assert_eq!(error.to_string(), "weight: has 3 elements, needs 4294967295");
    assert_eq!(BatchNormState::default().check(3), Ok(()));
}

#[test]
fn running_statistics_come_together() {
    let state = BatchNormState { running_mean: None, ..BatchNormState::new(3) };
    let error = state.check(3).expect_err("no mean");
    assert_eq!(error.to_string(), "running_mean: is absent, needs to be given together with running_var");
    let state = BatchNormState { running_var: None, ..BatchNormState::new(3) };
    let (argument, other) = ("running_var".to_owned(), "running_mean".to_owned());
    assert_eq!(state.check(3), Err(Error::Unpaired { argument, other }));
    let state = BatchNormState { running_mean: None, running_var: None, ..BatchNormState::new(3) };
    assert_eq!(state.check(3), Ok(()));
}

#[test]
fn counters_there_and_back() {
    for tracked in [0, 1, 1000, u32::MAX] {
        let state = BatchNormState { num_batches_tracked: Some(tracked.into()), ..BatchNormState::new(2) };
        let counters = state.counters(2).expect("counters");
        assert_eq!(counters, [RunningCounters { updates: tracked, skipped: 0 }; 2]);
        assert_eq!(BatchNormState::batches_tracked(&counters), u64::from(tracked));
    }
    let state = BatchNormState { num_batches_tracked: None, ..BatchNormState::new(2) };
    assert_eq!(state.counters(2), Ok(vec![RunningCounters::default(); 2]));

    let state = BatchNormState { num_batches_tracked: Some(1 << 32), ..BatchNormState::new(2) };
    let error = state.counters(2).expect_err("too many");
    let argument = "num_batches_tracked".to_owned();
    assert_eq!(error, Error::BatchesTracked { argument, got: 1 << 32, max: u32::MAX.into() });
    let message = "num_batches_tracked: is 4294967296, needs to be between 0 and 4294967295";
    assert_eq!(error.to_string(), message);
}

/// Batches that were skipped are not part of the average, and so not of the number that it goes on from.
#[test]
fn skipped_batches_do_not_count() {
    let counters = |pairs: &[(u32, u32)]| {
        let pairs = pairs.iter().map(|&(updates, skipped)| RunningCounters { updates, skipped });
        BatchNormState::batches_tracked(&pairs.collect::<Vec<_>>())
    };
    assert_eq!(counters(&[(5, 3), (7, 1), (6, 2)]), 7);
    assert_eq!(counters(&[(u32::MAX, u32::MAX)]), u64::from(u32::MAX));
    assert_eq!(counters(&[]), 0);
}

/// A cumulative average that is saved after three batches and taken up again ends where an uninterrupted one does.
#[test]
fn a_cumulative_average_goes_on() {
    let shape = Shape::new(&[2, 1], 1, Dtype::F32).expect("a shape");
    let options = RunningStatistics { momentum: Momentum::Cumulative, ..Default::default() };
    let mut running = Statistics { mean: vec![0.0], variance: vec![1.0] };
    let mut counters = BatchNormState::new(1).counters(1).expect("counters");
    for batch in 0..5 {
        if batch == 3 {
            let tracked = BatchNormState::batches_tracked(&counters);
            let saved = BatchNormState { num_batches_tracked: Some(tracked), ..BatchNormState::new(1) };
            counters = saved.counters(1).expect("counters");
        }
        let mean = f64::from(batch * 10);
        let batch = reference::statistics(&shape, &[mean - 1.0, mean + 1.0]).expect("statistics");
        (running, counters) =
            reference::follow(&shape, &running, &counters, &batch, &options).expect("an update");
    }
    // The mean of 0, 10, 20, 30, 40, and of five unbiased variances of 2.
    assert!(
        (running.mean[0] - 20.0).abs() < 1e-12 && (running.variance[0] - 2.0).abs() < 1e-12,
        "{running:?}"
    );
    assert_eq!(BatchNormState::batches_tracked(&counters), 5);
}
