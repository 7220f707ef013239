//! Activations by their definitions.

use std::f64::consts::PI;

use super::check;
use crate::activation::Activation;
use crate::error::Error;

/// The activation of a value.
///
/// ```
/// use wgpu_batchnorm::{Activation, reference};
///
/// assert_eq!(reference::activate(Activation::RELU6, 7.0), 6.0);
/// assert_eq!(reference::activate(Activation::Sigmoid, 0.0), 0.5);
/// ```
pub fn activate(activation: Activation, z: f64) -> f64 {
    match activation {
        // max and min would drop a NaN.
        _ if z.is_nan() => z,
        Activation::Identity => z,
        Activation::Relu => z.max(0.0),
        Activation::LeakyRelu { alpha } => {
            if z > 0.0 {
                z
            } else {
                f64::from(alpha) * z
            }
        }
        Activation::Clamp { lo, hi } => z.max(lo.into()).min(hi.into()),
        Activation::Sigmoid => sigmoid(z),
        Activation::Tanh => z.tanh(),
        Activation::Silu => z * sigmoid(z),
        Activation::Gelu => 0.5 * z * (1.0 + gelu_argument(z).tanh()),
    }
}

/// Its derivative there. At a corner it is PyTorch's: 0 for ReLU at 0, alpha for leaky ReLU, 0 for both ends of a clamp. That of
/// GELU at an infinity is what it tends to, where PyTorch has NaN.
///
/// ```
/// use wgpu_batchnorm::{Activation, reference};
///
/// assert_eq!(reference::slope(Activation::Relu, 0.0), 0.0);
/// assert_eq!(reference::slope(Activation::Silu, 0.0), 0.5);
/// ```
pub fn slope(activation: Activation, z: f64) -> f64 {
    let step = |inside: bool, outside: f64| if inside { 1.0 } else { outside };
    match activation {
        Activation::Identity => 1.0,
        // NaN is on the side where the gradient passes; that of the leaky ReLU is with what is not above 0. PyTorch has it so.
        Activation::Relu => step(z > 0.0 || z.is_nan(), 0.0),
        Activation::LeakyRelu { alpha } => step(z > 0.0, alpha.into()),
        Activation::Clamp { lo, hi } => step(z > lo.into() && z < hi.into() || z.is_nan(), 0.0),
        Activation::Sigmoid => sigmoid(z) * sigmoid(-z),
        Activation::Tanh => 1.0 / z.cosh().powi(2),
        Activation::Silu => sigmoid(z) + z * sigmoid(z) * sigmoid(-z),
        // What it tends to; the terms are infinity times 0.
        Activation::Gelu if z.is_infinite() => step(z > 0.0, 0.0),
        Activation::Gelu => {
            let u = gelu_argument(z);
            let du = (2.0 / PI).sqrt() * (1.0 + 3.0 * 0.044715 * z * z);
            0.5 * (1.0 + u.tanh()) + 0.5 * z * du / u.cosh().powi(2)
        }
    }
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

fn gelu_argument(z: f64) -> f64 {
    (2.0 / PI).sqrt() * (z + 0.044715 * z.powi(3))
}

/// The end of a layer: `y = activation(z + residual)`, where z is what [`normalize`](super::normalize) gives. An absent
/// residual is 0.
///
/// # Errors
/// [`Error::Length`].
///
/// ```
/// use wgpu_batchnorm::{Activation, reference};
///
/// let y = reference::finish(&[1.0, -3.0], Some(&[1.0, 1.0]), Activation::Relu)?;
/// assert_eq!(y, [2.0, 0.0]);
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
pub fn finish(z: &[f64], residual: Option<&[f64]>, activation: Activation) -> Result<Vec<f64>, Error> {
    let z = with_residual(z, residual)?;
    Ok(z.into_iter().map(|z| activate(activation, z)).collect())
}

/// The gradient of the loss by z, which is that by the residual: `dy * activation'(z + residual)`. With it in place of dy,
/// [`backward`](super::backward) and [`frozen_backward`](super::frozen_backward) give the gradients of the whole layer.
///
/// # Errors
/// [`Error::Length`].
///
/// ```
/// use wgpu_batchnorm::{Activation, reference};
///
/// let dz = reference::through(&[1.0, -3.0], None, Activation::Relu, &[5.0, 5.0])?;
/// assert_eq!(dz, [5.0, 0.0]);
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
pub fn through(
    z: &[f64],
    residual: Option<&[f64]>,
    activation: Activation,
    dy: &[f64],
) -> Result<Vec<f64>, Error> {
    check("dy", dy.len(), z.len() as u64)?;
    let z = with_residual(z, residual)?;
    // What a corner cuts off does not matter, be it infinite.
    let cuts = matches!(activation, Activation::Relu | Activation::Clamp { .. });
    let through = |(z, dy): (f64, &f64)| match slope(activation, z) {
        0.0 if cuts => 0.0,
        slope => dy * slope,
    };
    Ok(z.into_iter().zip(dy).map(through).collect())
}

fn with_residual(z: &[f64], residual: Option<&[f64]>) -> Result<Vec<f64>, Error> {
    let Some(residual) = residual else { return Ok(z.to_vec()) };
    check("residual", residual.len(), z.len() as u64)?;
    Ok(z.iter().zip(residual).map(|(z, residual)| z + residual).collect())
}
