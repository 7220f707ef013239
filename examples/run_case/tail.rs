//! What a residual, an activation and frozen statistics make of the bounds of a plain layer.
//!
//! All follow from how far z may be off, what goes into the activation f: the gradient by it, `dz = dy * f'(z)`, is off
//! by that times how fast f' changes; at a corner of f, z may lie on either side, and dz may be what it is on either.

use wgpu_batchnorm::reference::Statistics;
use wgpu_batchnorm::{Activation, Dtype, Shape};

use crate::bounds::{Tail, rounded, spacing};

/// Half a unit in the last place of an f32.
const U: f64 = f32::EPSILON as f64 / 2.0;

/// The largest slope.
fn steepest(activation: Activation) -> f64 {
    match activation {
        Activation::LeakyRelu { alpha } => f64::from(alpha).abs().max(1.0),
        Activation::Sigmoid => 0.25,
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

/// The corners, and how much the slope changes there.
fn corners(activation: Activation) -> Vec<(f64, f64)> {
    match activation {
        Activation::Relu => vec![(0.0, 1.0)],
        Activation::LeakyRelu { alpha } => vec![(0.0, (1.0 - f64::from(alpha)).abs())],
        Activation::Clamp { lo, hi } => vec![(lo.into(), 1.0), (hi.into(), 1.0)],
        _ => Vec::new(),
    }
}

/// The roundings of y itself. WGSL lets exp(z) be off by 3 + 2 |z| units, what is left of it is largest about |z| = 1.
fn rounding(activation: Activation, y: f64, z: f64) -> f64 {
    match activation {
        Activation::Identity | Activation::Relu => 0.0,
        // A product, and the number itself in f32.
        Activation::LeakyRelu { .. } | Activation::Clamp { .. } => 2.0 * U * y.abs(),
        _ => 16.0 * U * (y.abs() + z.abs().min(1.0)),
    }
}

/// The same of dz, for a dy of 1 where f is smooth.
fn slope_rounding(activation: Activation) -> f64 {
    match activation {
        Activation::Identity | Activation::Relu | Activation::Clamp { .. } => 0.0,
        Activation::LeakyRelu { alpha } => 2.0 * U * f64::from(alpha).abs(),
        smooth => 24.0 * U * steepest(smooth),
    }
}

/// What was normalized, and what becomes of it.
pub struct Normalized<'a> {
    pub values: &'a [f64],
    /// How far each may be off, before rounding.
    pub bound: f64,
    pub residual: Option<&'a [f64]>,
    pub activation: Activation,
}

impl Normalized<'_> {
    fn z(&self, i: usize) -> f64 {
        self.values[i] + self.residual.map_or(0.0, |residual| residual[i])
    }

    /// That of a plain layer's output in f32, and the rounding of the residual's sum.
    fn z_bound(&self, i: usize) -> f64 {
        let sum = self.residual.map_or(0.0, |_| spacing(Dtype::F32, self.z(i)));
        rounded(Dtype::F32, self.bound, self.values[i]) + sum
    }

    pub fn output_bounds(&self) -> Vec<f64> {
        let activation = self.activation;
        let bound = |i: usize| {
            let z = self.z(i);
            let y = wgpu_batchnorm::reference::activate(activation, z);
            steepest(activation) * self.z_bound(i) + rounding(activation, y, z)
        };
        (0..self.values.len()).map(bound).collect()
    }

    /// How far the gradient by z may be off.
    fn dz_bounds(&self, dy: &[f64]) -> Vec<f64> {
        let activation = self.activation;
        let (corners, bend, own) = (corners(activation), bend(activation), slope_rounding(activation));
        let bound = |i: usize| {
            let (z, off) = (self.z(i), self.z_bound(i));
            let turned = corners.iter().filter(|(corner, _)| (z - corner).abs() <= off);
            let turned: f64 = turned.map(|(_, change)| change).sum();
            match turned + bend * off + own {
                // Also for an infinite dy.
                0.0 => 0.0,
                off => dy[i].abs() * off + f64::from(f32::MIN_POSITIVE),
            }
        };
        (0..dy.len()).map(bound).collect()
    }
}

/// A backward pass.
pub struct Differentiated<'a> {
    pub layer: Normalized<'a>,
    pub shape: &'a Shape,
    pub x: &'a [f64],
    pub statistics: &'a Statistics,
    pub eps: f64,
    pub gamma: Option<&'a [f64]>,
    /// Whether the statistics are constants.
    pub frozen: bool,
    pub dy: &'a [f64],
    /// The gradient before the activation.
    pub dz: &'a [f64],
}

impl Differentiated<'_> {
    /// `plain` is the bound of grad_input for a plain layer that is given dz.
    pub fn bounds(&self, plain: f64) -> Tail {
        if self.layer.activation == Activation::Identity && !self.frozen {
            return Tail::default();
        }
        let (inner, channels) = ((self.shape.inner() as usize).max(1), self.shape.channels() as usize);
        let channel = |i: usize| i / inner % channels;
        let m = f64::from(self.shape.values_per_channel()).max(1.0);
        let Statistics { mean, variance } = self.statistics;
        let invstd: Vec<f64> = variance.iter().map(|variance| 1.0 / (variance + self.eps).sqrt()).collect();
        let x_hat = |i: usize, c: usize| ((self.x[i] - mean[c]) * invstd[c]).abs();

        let grad_residual = self.layer.dz_bounds(self.dy);
        // How far the sums of dz and of dz x_hat are off with it.
        let (mut grad_bias, mut grad_weight) = (vec![0.0; channels], vec![0.0; channels]);
        for (i, off) in grad_residual.iter().enumerate().filter(|(_, off)| **off != 0.0) {
            let c = channel(i);
            grad_bias[c] += 1.001 * off;
            grad_weight[c] += 1.001 * off * x_hat(i, c);
        }
        let grad_input = grad_residual.iter().enumerate().map(|(i, off)| {
            let c = channel(i);
            let slope = (self.gamma.map_or(1.0, |gamma| gamma[c]) * invstd[c]).abs();
            if self.frozen {
                // A product of four, whose root is within two units.
                return slope * (1.001 * off + 16.0 * U * self.dz[i].abs());
            }
            plain + slope * (1.001 * off + grad_bias[c] / m + x_hat(i, c) * grad_weight[c] / m)
        });
        let grad_input = grad_input.collect();
        Tail { output: Vec::new(), grad_input, grad_residual, grad_weight, grad_bias }
    }
}
