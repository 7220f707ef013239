//! The results of a case by the f64 reference.

use wgpu_batchnorm::reference::{self, Gradients, Statistics};
use wgpu_batchnorm::{BatchNormState, Error};

use crate::bounds::{Bounds, Quantity, Step};
use crate::case::Case;
use crate::tail::{Differentiated, Normalized};

/// What each result should be.
pub struct Truth {
    pub x: Vec<f64>,
    /// What x is normalized by.
    statistics: Statistics,
    /// By those, before residual and activation.
    normalized: Vec<f64>,
    output: Vec<f64>,
    running: Statistics,
    tracked: Vec<f64>,
    residual: Option<Vec<f64>>,
    backward: Option<BackwardTruth>,
}

/// What belongs to the gradients. They are those of a layer that is normalized by what they go through.
struct BackwardTruth {
    dy: Vec<f64>,
    statistics: Statistics,
    normalized: Vec<f64>,
    /// The gradient before the activation, which is that of the residual.
    dz: Vec<f64>,
    gradients: Gradients,
}

impl Truth {
    pub fn of(case: &Case) -> Result<Self, Error> {
        let (shape, x, residual) = (&case.shape, case.x(), case.residual());
        let (gamma, beta) = (case.weight.as_deref(), case.bias.as_deref());
        let by = |given: Option<&Statistics>| match given {
            Some(given) => Ok(given.clone()),
            None => reference::statistics(shape, &x),
        };
        let normalize =
            |statistics: &Statistics| reference::normalize(shape, &x, statistics, gamma, beta, case.eps);
        let statistics = by(case.given_statistics())?;
        let normalized = normalize(&statistics)?;
        let output = reference::finish(&normalized, residual.as_deref(), case.activation)?;
        let (running, tracked) = followed(case, &statistics)?;
        let backward = match case.grad_output() {
            Some(dy) => {
                let frozen = case.frozen_statistics();
                let statistics = by(frozen)?;
                let normalized = normalize(&statistics)?;
                let dz = reference::through(&normalized, residual.as_deref(), case.activation, &dy)?;
                let gradients = match frozen {
                    Some(_) => reference::frozen_backward(shape, &x, &dz, &statistics, gamma, case.eps),
                    None => reference::backward(shape, &x, &dz, &statistics, gamma, case.eps),
                }?;
                Some(BackwardTruth { dy, statistics, normalized, dz, gradients })
            }
            None => None,
        };
        Ok(Self { x, statistics, normalized, output, running, tracked, residual, backward })
    }

    pub fn value(&self, quantity: Quantity) -> &[f64] {
        let gradient = |value: fn(&BackwardTruth) -> &[f64]| self.backward.as_ref().map_or(&[][..], value);
        match quantity {
            Quantity::Output => &self.output,
            Quantity::BatchMean => &self.statistics.mean,
            Quantity::BatchVar => &self.statistics.variance,
            Quantity::RunningMean => &self.running.mean,
            Quantity::RunningVar => &self.running.variance,
            Quantity::GradInput => gradient(|backward| &backward.gradients.dx),
            Quantity::GradWeight => gradient(|backward| &backward.gradients.dgamma),
            Quantity::GradBias => gradient(|backward| &backward.gradients.dbeta),
            Quantity::GradResidual => gradient(|backward| &backward.dz),
            Quantity::NumBatchesTracked => &self.tracked,
        }
    }

    /// The bounds of what the forward pass gives.
    pub fn forward_bounds(&self, case: &Case) -> Bounds {
        let mut bounds = Bounds::of(&Step {
            shape: &case.shape,
            x: &self.x,
            statistics: &self.statistics,
            eps: case.eps,
            gamma: case.weight.as_deref(),
            dy: None,
            running: case
                .updated_statistics()
                .filter(|_| case.following.is_some())
                .map(|r| (r, case.momentum)),
        });
        if !case.is_plain() {
            bounds.tail.output = self.layer(case, &self.normalized, bounds.output).output_bounds();
        }
        bounds
    }

    /// The bounds of the gradients, if there are any.
    pub fn backward_bounds(&self, case: &Case) -> Option<Bounds> {
        let BackwardTruth { dy, statistics, normalized, dz, .. } = self.backward.as_ref()?;
        let gamma = case.weight.as_deref();
        let mut bounds = Bounds::of(&Step {
            shape: &case.shape,
            x: &self.x,
            statistics,
            eps: case.eps,
            gamma,
            dy: Some(dz),
            running: None,
        });
        let differentiated = Differentiated {
            layer: self.layer(case, normalized, bounds.output),
            shape: &case.shape,
            x: &self.x,
            statistics,
            eps: case.eps,
            gamma,
            frozen: case.frozen_statistics().is_some(),
            dy,
            dz,
        };
        bounds.tail = differentiated.bounds(bounds.grad_input);
        Some(bounds)
    }

    fn layer<'a>(&'a self, case: &Case, normalized: &'a [f64], bound: f64) -> Normalized<'a> {
        Normalized {
            values: normalized,
            bound,
            residual: self.residual.as_deref(),
            activation: case.activation,
        }
    }
}

/// The running statistics after the step, and the batches that they have seen, where those are counted.
fn followed(case: &Case, batch: &Statistics) -> Result<(Statistics, Vec<f64>), Error> {
    let Some(old) = case.updated_statistics() else { return Ok(Default::default()) };
    let Some(following) = case.following else { return Ok((old.clone(), Vec::new())) };
    let Some(counters) = case.counters() else {
        let new = reference::update_running(&case.shape, old, batch, case.momentum, following.variance)?;
        return Ok((new, Vec::new()));
    };
    let (new, counters) = reference::follow(&case.shape, old, &counters, batch, &following)?;
    Ok((new, vec![BatchNormState::batches_tracked(&counters) as f64]))
}
