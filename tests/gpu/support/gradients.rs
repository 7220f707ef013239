//! The gradients of any layer by the reference, and how far results may be from them.
//!
//! All follow from the gradient by z, `dz = dy * f'(z)`. z may be off by the bound of y, so that dz is off by that times how
//! fast f' changes; at a corner of f, z may lie on either side, and dz may be what it is on either.

use wgpu_batchnorm::Activation;
use wgpu_batchnorm::reference;
use wgpu_batchnorm::verify::compare;

use super::case::Case;
use super::check::{self, U, Verdict};
use super::surface::{Forward, Surface, known};

/// Results of a backward pass; `None` is not asked for.
pub struct Differentiated {
    pub dx: Option<Vec<f64>>,
    pub dresidual: Option<Vec<f64>>,
    pub dgamma: Option<Vec<f64>>,
    pub dbeta: Option<Vec<f64>>,
}

/// The largest slope of an activation.
pub fn steepest(activation: Activation) -> f64 {
    match activation {
        Activation::LeakyRelu { alpha } => f64::from(alpha).abs().max(1.0),
        // 1.0998 of SiLU, 1.129 of GELU.
        Activation::Silu | Activation::Gelu => 1.13,
        _ => 1.0,
    }
}

/// The largest change of the slope where it is smooth.
fn bend(activation: Activation) -> f64 {
    match activation {
        Activation::Sigmoid => 0.0963,
        Activation::Tanh => 0.77,
        Activation::Silu => 0.5,
        Activation::Gelu => 0.8,
        _ => 0.0,
    }
}

/// The corners of an activation, and how much its slope changes there.
fn corners(activation: Activation) -> Vec<(f64, f64)> {
    match activation {
        Activation::Relu => vec![(0.0, 1.0)],
        Activation::LeakyRelu { alpha } => vec![(0.0, (1.0 - f64::from(alpha)).abs())],
        Activation::Clamp { lo, hi } => vec![(lo.into(), 1.0), (hi.into(), 1.0)],
        _ => Vec::new(),
    }
}

/// The gradients, and the bounds of results.
pub struct Expected {
    dz: Vec<f64>,
    dz_bound: Vec<f64>,
    gradients: reference::Gradients,
    dx_bound: Vec<f64>,
    dgamma_bound: Vec<f64>,
    dbeta_bound: Vec<f64>,
}

impl Expected {
    pub fn new(surface: &Surface, forward: &Forward, frozen: bool) -> Self {
        let (case, layer) = (&surface.case, &surface.layer);
        let (activation, eps) = (layer.activation, f64::from(layer.eps));
        let dz =
            reference::through(&forward.normalized, surface.added(), activation, &case.dy).expect("lengths");
        let z_bound = surface.z_bound(forward);
        let dz_bound: Vec<f64> = (0..dz.len())
            .map(|i| {
                if !surface.acts() {
                    return 0.0;
                }
                let (z, off, dy) = (forward.z[i], z_bound(i), case.dy[i].abs());
                let turned = corners(activation).into_iter().filter(|(corner, _)| (z - corner).abs() <= off);
                let turned: f64 = turned.map(|(_, change)| change).sum();
                // exp is within 3 + 2 |z| units, and z * exp(-|z|) below 0.4.
                dy * (turned + bend(activation) * known(off) + 24.0 * U * steepest(activation))
            })
            .collect();
        let gamma = case.gamma(layer.affine);
        let statistics = &forward.statistics;
        let gradients = if frozen {
            reference::frozen_backward(&case.shape, &case.x, &dz, statistics, gamma, eps)
        } else {
            reference::backward(&case.shape, &case.x, &dz, statistics, gamma, eps)
        };
        let gradients = gradients.expect("lengths");

        let channels = case.shape.channels() as usize;
        let m = f64::from(case.shape.values_per_channel()).max(1.0);
        let invstd: Vec<f64> = statistics.variance.iter().map(|v| 1.0 / (v + eps).sqrt()).collect();
        let x_hat = |i: usize| {
            let c = case.channel(i);
            (case.x[i] - statistics.mean[c]) * invstd[c]
        };
        // Over each channel: terms of dbeta and of dgamma, how far they may be off, the largest dz and x_hat.
        let mut sums = vec![[0.0f64; 6]; channels];
        for i in 0..dz.len() {
            let [beta, gamma, beta_off, gamma_off, largest, furthest] = &mut sums[case.channel(i)];
            *beta += dz[i].abs();
            *gamma += (dz[i] * x_hat(i)).abs();
            *beta_off += dz_bound[i];
            *gamma_off += dz_bound[i] * x_hat(i).abs();
            *largest = largest.max(dz[i].abs());
            *furthest = furthest.max(x_hat(i).abs());
        }
        let of_largest = |values: &[f64]| 2e-5 * values.iter().fold(0.0f64, |a, b| a.max(b.abs()));
        let (most_dgamma, most_dbeta) = (of_largest(&gradients.dgamma), of_largest(&gradients.dbeta));
        let dgamma_bound = (0..channels)
            .map(|c| most_dgamma + 2e-6 * (sums[c][1] + gradients.dbeta[c].abs()) + 1.001 * sums[c][3])
            .collect();
        let dbeta_bound =
            (0..channels).map(|c| most_dbeta + 2e-6 * sums[c][0] + 1.001 * sums[c][2]).collect();
        let dx_bound = (0..dz.len())
            .map(|i| {
                let c = case.channel(i);
                let [_, gamma_terms, beta_off, gamma_off, largest, furthest] = sums[c];
                let scale = (gamma.map_or(1.0, |gamma| gamma[c]) * invstd[c]).abs();
                if frozen {
                    return scale * (1.001 * dz_bound[i] + 16.0 * U * dz[i].abs());
                }
                let off = dz_bound[i] + beta_off / m + x_hat(i).abs() * gamma_off / m;
                let projection = furthest * gamma_terms / m;
                scale * (1.001 * off + 2e-6 * (1.0 + 1.5 * largest + projection))
            })
            .collect();
        Self { dz, dz_bound, gradients, dx_bound, dgamma_bound, dbeta_bound }
    }

    pub fn check(&self, case: &Case, actual: &Differentiated) -> Verdict {
        let channels = |name: &str, actual: &Option<Vec<f64>>, expected: &[f64], bound: &[f64]| {
            let Some(actual) = actual else { return Ok(()) };
            let comparison = compare(actual, expected, |c| known(bound[c]));
            if comparison.passed() { Ok(()) } else { Err(format!("{name}: {comparison}")) }
        };
        if let Some(dresidual) = &actual.dresidual {
            check::tensor("dresidual", &case.shape, dresidual, &self.dz, |i| known(self.dz_bound[i]))?;
        }
        channels("dbeta", &actual.dbeta, &self.gradients.dbeta, &self.dbeta_bound)?;
        channels("dgamma", &actual.dgamma, &self.gradients.dgamma, &self.dgamma_bound)?;
        match &actual.dx {
            Some(dx) => check::tensor("dx", &case.shape, dx, &self.gradients.dx, |i| known(self.dx_bound[i])),
            None => Ok(()),
        }
    }
}
