//! Batch norm into the weight and bias of the layer before it.

use super::arguments::{check_dtype, check_length, check_optional};
use super::element::Element;
use crate::error::Error;
use crate::options::FoldOptions;
use crate::tensor::Shape;

/// The slices of [`fold`]. Weight and bias are folded in place; each has its own storage type.
#[derive(Debug)]
pub struct FoldSlices<'a, E, B> {
    /// Weight of the layer before, updated.
    pub weight: &'a mut [E],
    /// Bias of the layer before, per output channel, updated. Zeros for a layer that has none: it has one afterwards.
    pub bias: &'a mut [B],
    /// Scale per channel; present if the options' `affine` has it.
    pub gamma: Option<&'a [f32]>,
    /// Shift per channel; present if the options' `affine` has it.
    pub beta: Option<&'a [f32]>,
    /// Mean per channel.
    pub running_mean: &'a [f32],
    /// Variance per channel.
    pub running_var: &'a [f32],
}

/// Folds an inference batch norm (algorithm 2, line 12 of the paper) into the layer before it; what
/// [`Fold`](crate::Fold) does on a GPU, but computed in f64 before it is rounded to the storage type. On the calling thread.
///
/// # Errors
/// Before anything is written: [`Error::Eps`], [`Error::Groups`], [`Error::TooManyValues`], [`Error::Dtype`],
/// [`Error::Length`], [`Error::Missing`] and [`Error::Unexpected`].
///
/// ```
/// use wgpu_batchnorm::cpu::{self, FoldSlices};
/// use wgpu_batchnorm::{Affine, Dtype, FoldOptions, Shape};
///
/// // A linear layer of 2 inputs and 1 output: y = 1 a + 2 b + 5, then (y - 3) / 2 * 10.
/// let shape = Shape::new(&[1, 2], 0, Dtype::F16)?;
/// let mut weight = [1.0, 2.0].map(half::f16::from_f32);
/// let mut bias = [5.0f32];
/// let options = FoldOptions { eps: 0.0, affine: Affine::Gamma, ..Default::default() };
/// cpu::fold(&shape, &options, FoldSlices {
///     weight: &mut weight,
///     bias: &mut bias,
///     gamma: Some(&[10.0]),
///     beta: None,
///     running_mean: &[3.0],
///     running_var: &[4.0],
/// })?;
/// assert_eq!((weight.map(f32::from), bias), ([5.0, 10.0], [10.0]));
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
pub fn fold<E: Element, B: Element>(
    weight: &Shape,
    options: &FoldOptions,
    slices: FoldSlices<'_, E, B>,
) -> Result<(), Error> {
    let all = options.channels(weight)?;
    check_dtype::<E>(weight)?;
    if options.bias != B::DTYPE {
        return Err(Error::Dtype { got: options.bias.name(), needs: B::DTYPE.name() });
    }
    let shape = weight;
    let FoldSlices { weight, bias, gamma, beta, running_mean, running_var } = slices;
    check_length("weight", weight, shape.len())?;
    check_length("bias", bias, all.into())?;
    check_optional("gamma", gamma, options.affine.has_gamma(), all.into())?;
    check_optional("beta", beta, options.affine.has_beta(), all.into())?;
    check_length("running_mean", running_mean, all.into())?;
    check_length("running_var", running_var, all.into())?;

    let of = |given: Option<&[f32]>, c: usize, neutral| given.map_or(neutral, |given| f64::from(given[c]));
    let scale: Vec<f64> = (0..all as usize)
        .map(|c| of(gamma, c, 1.0) / (f64::from(running_var[c]) + f64::from(options.eps)).sqrt())
        .collect();
    for (c, bias) in bias.iter_mut().enumerate() {
        let centered = f64::from(bias.widen()) - f64::from(running_mean[c]);
        *bias = B::narrow(centered * scale[c] + of(beta, c, 0.0));
    }
    let (channels, inner) = (shape.channels() as usize, shape.inner().max(1) as usize);
    let rows_of_group = (shape.outer() / options.groups).max(1) as usize;
    for (run, values) in weight.chunks_mut(inner).enumerate() {
        let (row, channel) = (run / channels, run % channels);
        let scale = scale[row / rows_of_group * channels + channel];
        values.iter_mut().for_each(|value| *value = E::narrow(f64::from(value.widen()) * scale));
    }
    Ok(())
}
