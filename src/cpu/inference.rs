//! Inference: normalization by the running statistics.

use pulp::Arch;

use super::arguments::{check_dtype, check_length, check_optional, check_tail};
use super::columns::arch;
use super::crew::{Way, for_each};
use super::division::Extent;
use super::element::{Element, Workspace};
use super::output::{Output, Staging, streams};
use super::parameters::{Fields, Parameters, scale};
use super::{matrix, planes};
use crate::error::Error;
use crate::options::{InferenceOptions, check_inference_eps};
use crate::tensor::Shape;

/// The slices of [`inference`].
#[derive(Debug)]
pub struct InferenceSlices<'a, E> {
    /// Input tensor.
    pub x: &'a [E],
    /// Output tensor of the same shape, written.
    pub y: &'a mut [E],
    /// Scale per channel; present if the options' `affine` has it.
    pub gamma: Option<&'a [f32]>,
    /// Shift per channel; present if the options' `affine` has it.
    pub beta: Option<&'a [f32]>,
    /// Mean per channel.
    pub running_mean: &'a [f32],
    /// Variance per channel.
    pub running_var: &'a [f32],
}

/// Inference, algorithm 2 line 12 of the paper; what [`Inference`](crate::Inference) does on a GPU.
///
/// # Errors
/// Before anything is written: [`Error::Eps`], [`Error::Cpu`], [`Error::Dtype`], [`Error::Length`], [`Error::Missing`] and
/// [`Error::Unexpected`].
///
/// ```
/// use wgpu_batchnorm::cpu::{self, InferenceSlices};
/// use wgpu_batchnorm::{Affine, Dtype, InferenceOptions, Shape};
///
/// let shape = Shape::new(&[3, 1], 1, Dtype::F16)?;
/// let x = [1.0, 2.0, 5.0].map(half::f16::from_f32);
/// let mut y = [half::f16::ZERO; 3];
/// let options = InferenceOptions { eps: 0.0, affine: Affine::Gamma, ..Default::default() };
/// cpu::inference(&shape, &options, InferenceSlices {
///     x: &x,
///     y: &mut y,
///     gamma: Some(&[10.0]),
///     beta: None,
///     running_mean: &[1.0],
///     running_var: &[4.0],
/// })?;
/// assert_eq!(y.map(f32::from), [0.0, 5.0, 20.0]);
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
pub fn inference<E: Element>(
    shape: &Shape,
    options: &InferenceOptions,
    slices: InferenceSlices<'_, E>,
) -> Result<(), Error> {
    check_inference_eps(options.eps)?;
    check_tail(options.activation, options.residual)?;
    check_dtype::<E>(shape)?;
    let InferenceSlices { x, y, gamma, beta, running_mean, running_var } = slices;
    let channels = shape.channels();
    check_length("x", x, shape.len())?;
    check_length("y", y, shape.len())?;
    check_optional("gamma", gamma, options.affine.has_gamma(), channels.into())?;
    check_optional("beta", beta, options.affine.has_beta(), channels.into())?;
    check_length("running_mean", running_mean, channels.into())?;
    check_length("running_var", running_var, channels.into())?;
    if shape.is_empty() {
        return Ok(());
    }
    let parameters = Parameters::new(running_mean.len(), |c| {
        let invstd = 1.0 / (running_var[c] + options.eps).sqrt();
        let [scale, rest] = scale(invstd, gamma.map_or(1.0, |gamma| gamma[c]));
        ([running_mean[c], scale, beta.map_or(0.0, |beta| beta[c])], rest)
    });
    outputs(arch(), Extent::new(shape), Way::Forth, x, y, parameters.fields());
    Ok(())
}

/// All of y from the numbers of all channels.
pub(super) fn outputs<E: Element>(
    arch: Arch,
    extent: Extent,
    way: Way,
    x: &[E],
    y: &mut [E],
    fields: Fields<'_, 3>,
) {
    let streams = streams::<E>(y.len());
    for_each(extent.is_parallel(), way, extent.chunks(y), Workspace::new, |workspace, (start, y)| {
        let staging = &mut Staging::new(streams);
        let x = &x[start..][..y.len()];
        let y = &mut Output::new(y, staging);
        if extent.has_runs() {
            let first = start / extent.inner % extent.channels;
            planes::normalize(arch, x, y, (extent.inner, first), fields, workspace);
        } else {
            matrix::normalize(arch, extent, x, y, fields, workspace);
        }
    });
}
