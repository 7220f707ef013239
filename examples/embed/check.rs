//! Whether the step did what it should: ours by the f64 reference, the host's by doing it again.

use wgpu_batchnorm::reference::{self, Statistics};
use wgpu_batchnorm::{Error, RunningVariance, SavedStatistics, Shape};

use crate::bounds::{self, Bounds, Quantity};
use crate::host::RATE;

/// PyTorch's defaults, as those of the options that the step ran with.
const EPS: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// All that the step left in memory.
pub struct Step {
    pub shape: Shape,
    pub x: Vec<f32>,
    pub y: Vec<f32>,
    pub activation: Vec<f32>,
    pub dy: Vec<f32>,
    pub dx: Vec<f32>,
    /// Gamma and beta after their descent.
    pub gamma: Vec<f32>,
    pub dgamma: Vec<f32>,
    pub beta: Vec<f32>,
    pub dbeta: Vec<f32>,
    pub running: [Vec<f32>; 2],
    pub saved: Vec<SavedStatistics>,
}

impl Step {
    /// The results by name, each with what is wrong with it.
    pub fn check(&self) -> Result<Vec<(&'static str, Option<String>)>, Error> {
        let mut results = self.ours()?;
        results.extend(self.hosts());
        Ok(results)
    }

    fn ours(&self) -> Result<Vec<(&'static str, Option<String>)>, Error> {
        let shape = &self.shape;
        let channels = shape.channels() as usize;
        let (x, dy) = (f64s(&self.x), f64s(&self.dy));
        let old = Statistics { mean: vec![0.0; channels], variance: vec![1.0; channels] };
        let batch = reference::statistics(shape, &x)?;
        let y = reference::normalize(shape, &x, &batch, None, None, EPS)?;
        let running = reference::update_running(shape, &old, &batch, MOMENTUM, RunningVariance::Unbiased)?;
        let gradients = reference::backward(shape, &x, &dy, &batch, None, EPS)?;
        let bounds = Bounds::of(&bounds::Step {
            shape,
            x: &x,
            statistics: &batch,
            eps: EPS,
            gamma: None,
            dy: Some(&dy),
            running: Some((&old, MOMENTUM)),
        });
        let mean: Vec<f64> = self.saved.iter().map(SavedStatistics::mean).collect();
        let variance: Vec<f64> = self.saved.iter().map(|saved| saved.variance.into()).collect();
        let results = [
            (Quantity::Output, f64s(&self.y), y),
            (Quantity::BatchMean, mean, batch.mean),
            (Quantity::BatchVar, variance, batch.variance),
            (Quantity::RunningMean, f64s(&self.running[0]), running.mean),
            (Quantity::RunningVar, f64s(&self.running[1]), running.variance),
            (Quantity::GradInput, f64s(&self.dx), gradients.dx),
            (Quantity::GradWeight, f64s(&self.dgamma), gradients.dgamma),
            (Quantity::GradBias, f64s(&self.dbeta), gradients.dbeta),
        ];
        let judged = results.map(|(quantity, actual, expected)| {
            let judgement = bounds.judge(quantity, &actual, &expected, false);
            let (comparison, bound) = (&judgement.comparison, judgement.bound);
            let fault = format!("WRONG: {comparison}, its bound is {bound:.1e}");
            (judgement.quantity.name(), (!comparison.passed()).then_some(fault))
        });
        Ok(judged.into())
    }

    fn hosts(&self) -> [(&'static str, Option<String>); 4] {
        let wrong = |at: Option<usize>| at.map(|at| format!("WRONG at {at}"));
        let activation = self.y.iter().zip(&self.activation).position(|(y, a)| *a != y.max(0.0));
        let dy = self.y.iter().zip(&self.dy).position(|(y, dy)| *dy != if *y > 0.0 { y - 1.0 } else { 0.0 });
        let descended = |start: f32, now: &[f32], gradient: &[f32]| {
            let right = |(now, gradient): (&f32, &f32)| (now - (start - RATE * gradient)).abs() <= 1e-6;
            now.iter().zip(gradient).position(|pair| !right(pair))
        };
        [
            ("activation", wrong(activation)),
            ("dy", wrong(dy)),
            ("gamma", wrong(descended(1.0, &self.gamma, &self.dgamma))),
            ("beta", wrong(descended(0.0, &self.beta, &self.dbeta))),
        ]
    }
}

fn f64s(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| value.into()).collect()
}
