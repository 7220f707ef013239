//! Folding by its definition.

use super::{Statistics, check, parameter};
use crate::error::Error;
use crate::tensor::Shape;

/// Weight and bias of a linear layer or convolution.
///
/// ```
/// use wgpu_batchnorm::reference::Linear;
///
/// let layer = Linear { weight: vec![1.0, 2.0], bias: vec![0.0] };
/// # let _ = layer;
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Linear {
    /// Of as many values as its shape says.
    pub weight: Vec<f64>,
    /// Per output channel.
    pub bias: Vec<f64>,
}

/// The layer that does what the given one and a batch norm behind it do: what is normalized is
/// `sum(weight * input) + bias`, and normalizing is a line in it. `groups` as in [`FoldOptions`](crate::FoldOptions); the
/// statistics and parameters are those of all `groups * shape.channels()` outputs.
///
/// # Errors
/// [`Error::Length`] and [`Error::Groups`].
///
/// ```
/// use wgpu_batchnorm::reference::{self, Linear, Statistics};
/// use wgpu_batchnorm::{Dtype, Shape};
///
/// let shape = Shape::new(&[1, 2], 0, Dtype::F32)?;
/// let layer = Linear { weight: vec![1.0, 2.0], bias: vec![5.0] };
/// let running = Statistics { mean: vec![3.0], variance: vec![4.0] };
/// let folded = reference::fold(&shape, 1, &layer, &running, Some(&[10.0]), None, 0.0)?;
/// assert_eq!(folded, Linear { weight: vec![5.0, 10.0], bias: vec![10.0] });
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
pub fn fold(
    shape: &Shape,
    groups: u32,
    layer: &Linear,
    running: &Statistics,
    gamma: Option<&[f64]>,
    beta: Option<&[f64]>,
    eps: f64,
) -> Result<Linear, Error> {
    let outer = shape.outer();
    if groups == 0 || !outer.is_multiple_of(groups) {
        return Err(Error::Groups { got: groups, outer });
    }
    let all = u64::from(shape.channels()) * u64::from(groups);
    check("weight", layer.weight.len(), shape.len())?;
    check("bias", layer.bias.len(), all)?;
    check("mean", running.mean.len(), all)?;
    check("variance", running.variance.len(), all)?;
    let gamma = parameter("gamma", all, gamma, 1.0)?;
    let beta = parameter("beta", all, beta, 0.0)?;
    let mut folded = layer.clone();
    for c in 0..all as usize {
        let invstd = 1.0 / (running.variance[c] + eps).sqrt();
        folded.bias[c] = (layer.bias[c] - running.mean[c]) * invstd * gamma[c] + beta[c];
    }
    let (channels, inner) = (shape.channels() as usize, shape.inner() as usize);
    for row in 0..outer as usize {
        let group = row / (outer / groups) as usize;
        for channel in 0..channels {
            let c = group * channels + channel;
            let first = (row * channels + channel) * inner;
            for weight in &mut folded.weight[first..first + inner] {
                *weight *= gamma[c] / (running.variance[c] + eps).sqrt();
            }
        }
    }
    Ok(folded)
}
