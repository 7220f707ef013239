//! Holds the results of a layer against the f64 reference.

use std::time::Instant;

use wgpu_batchnorm::reference::{self, Statistics};
use wgpu_batchnorm::{Error, RunningVariance, SavedStatistics, Shape};

use crate::bounds::{Bounds, Judgement, Quantity, Step};
use crate::data::Data;
use crate::device::Results;
use crate::storage;

/// PyTorch's defaults, as those of the options that the device ran with.
const EPS: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// What an operation computed, judged.
pub struct Verdict {
    /// The result that comes nearest to its bound, or goes furthest beyond it.
    pub worst: Judgement,
    /// The results beyond their bounds.
    pub failed: Vec<&'static str>,
    /// Seconds that the reference took.
    pub reference: f64,
}

impl Verdict {
    fn new(reference: f64, first: Judgement, others: Vec<Judgement>) -> Self {
        let failed =
            |judgement: &Judgement| (!judgement.comparison.passed()).then(|| judgement.quantity.name());
        let names = failed(&first).into_iter().chain(others.iter().filter_map(failed)).collect();
        let worst = others.into_iter().fold(first, |worst, other| {
            if other.comparison.worst_of_bound > worst.comparison.worst_of_bound { other } else { worst }
        });
        Self { worst, failed: names, reference }
    }
}

/// All operations on one layer, in the order of `Operation::ALL`.
pub fn check(shape: &Shape, data: &Data, results: &Results) -> Result<[Verdict; 3], Error> {
    let start = Instant::now();
    let batch = reference::statistics(shape, &data.x)?;
    let statistics_seconds = start.elapsed().as_secs_f64();
    let (gamma, beta) = (Some(data.gamma.as_slice()), Some(data.beta.as_slice()));
    let bounds = Bounds::of(&Step {
        shape,
        x: &data.x,
        statistics: &batch,
        eps: EPS,
        gamma,
        dy: Some(&data.dy),
        running: Some((&data.running, MOMENTUM)),
    });
    let tensor = |bytes: &[u8]| storage::decode(shape.dtype(), bytes);
    let per_channel = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
    let judge = |quantity, actual: &[f64], expected: &[f64]| bounds.judge(quantity, actual, expected, false);

    let start = Instant::now();
    let y = reference::normalize(shape, &data.x, &batch, gamma, beta, EPS)?;
    let seconds = statistics_seconds + start.elapsed().as_secs_f64();
    let variance = RunningVariance::Unbiased;
    let running = reference::update_running(shape, &data.running, &batch, MOMENTUM, variance)?;
    let saved = |value: fn(&SavedStatistics) -> f64| results.saved.iter().map(value).collect::<Vec<_>>();
    let [running_mean, running_var] = results.running.each_ref().map(|values| per_channel(values));
    let training = Verdict::new(
        seconds,
        judge(Quantity::Output, &tensor(&results.trained), &y),
        vec![
            judge(Quantity::BatchMean, &saved(SavedStatistics::mean), &batch.mean),
            judge(Quantity::BatchVar, &saved(|saved| saved.variance.into()), &batch.variance),
            judge(Quantity::RunningMean, &running_mean, &running.mean),
            judge(Quantity::RunningVar, &running_var, &running.variance),
        ],
    );
    drop(y);

    let backward = {
        let start = Instant::now();
        let expected = reference::backward(shape, &data.x, &data.dy, &batch, gamma, EPS)?;
        let seconds = start.elapsed().as_secs_f64();
        Verdict::new(
            seconds,
            judge(Quantity::GradInput, &tensor(&results.dx), &expected.dx),
            vec![
                judge(Quantity::GradWeight, &per_channel(&results.dgamma), &expected.dgamma),
                judge(Quantity::GradBias, &per_channel(&results.dbeta), &expected.dbeta),
            ],
        )
    };
    Ok([training, inference(shape, data, &tensor(&results.inferred))?, backward])
}

fn inference(shape: &Shape, data: &Data, actual: &[f64]) -> Result<Verdict, Error> {
    let (gamma, beta) = (Some(data.gamma.as_slice()), Some(data.beta.as_slice()));
    let statistics: &Statistics = &data.running;
    let start = Instant::now();
    let y = reference::normalize(shape, &data.x, statistics, gamma, beta, EPS)?;
    let seconds = start.elapsed().as_secs_f64();
    let bounds =
        Bounds::of(&Step { shape, x: &data.x, statistics, eps: EPS, gamma, dy: None, running: None });
    Ok(Verdict::new(seconds, bounds.judge(Quantity::Output, actual, &y, false), Vec::new()))
}
