//! The training forward pass.

use pulp::Arch;

use super::arguments::{check_dtype, check_length, check_optional, check_running, check_tail};
use super::columns::arch;
use super::crew::{Way, for_each};
use super::division::{Division, Extent, MOST_CHANNELS, SHARE, Tile, merged};
use super::element::{Element, Workspace};
use super::inference::outputs;
use super::moments::Sums;
use super::output::{Output, Staging, streams};
use super::parameters::{Parameters, scale};
use super::{matrix, planes};
use crate::error::Error;
use crate::options::{TrainingOptions, check_training_eps};
use crate::statistics::SavedStatistics;
use crate::tensor::Shape;

/// The slices of [`training`].
#[derive(Debug)]
pub struct TrainingSlices<'a, E> {
    /// Input tensor.
    pub x: &'a [E],
    /// Output tensor of the same shape, written.
    pub y: &'a mut [E],
    /// Scale per channel; present if the options' `affine` has it.
    pub gamma: Option<&'a [f32]>,
    /// Shift per channel; present if the options' `affine` has it.
    pub beta: Option<&'a [f32]>,
    /// Running mean per channel, updated; present if the options have `running`.
    pub running_mean: Option<&'a mut [f32]>,
    /// Running variance per channel, updated; present if the options have `running`.
    pub running_var: Option<&'a mut [f32]>,
    /// Statistics per channel for the backward pass, written.
    pub saved: &'a mut [SavedStatistics],
}

/// The training forward pass, algorithm 1 of the paper; what [`Training`](crate::Training) does on a GPU.
///
/// # Errors
/// Before anything is written: [`Error::Eps`], [`Error::Momentum`], [`Error::TooFewValues`], [`Error::Cpu`], [`Error::Dtype`],
/// [`Error::Length`], [`Error::Missing`] and [`Error::Unexpected`].
///
/// ```
/// use wgpu_batchnorm::cpu::{self, TrainingSlices};
/// use wgpu_batchnorm::{Dtype, SavedStatistics, Shape, TrainingOptions};
///
/// let shape = Shape::new(&[2, 1, 2], 1, Dtype::F32)?;
/// let (mut y, mut saved) = ([0.0; 4], [SavedStatistics::default()]);
/// let (mut running_mean, mut running_var) = ([0.0], [1.0]);
/// cpu::training(&shape, &TrainingOptions::default(), TrainingSlices {
///     x: &[1.0, 2.0, 3.0, 4.0],
///     y: &mut y,
///     gamma: Some(&[1.0]),
///     beta: Some(&[10.0]),
///     running_mean: Some(&mut running_mean),
///     running_var: Some(&mut running_var),
///     saved: &mut saved,
/// })?;
/// assert_eq!((saved[0].mean(), saved[0].variance), (2.5, 1.25));
/// assert_eq!(running_mean, [0.25]);
/// assert!((y[3] - (10.0 + 1.5 / 1.25001f32.sqrt())).abs() < 1e-6);
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
pub fn training<E: Element>(
    shape: &Shape,
    options: &TrainingOptions,
    slices: TrainingSlices<'_, E>,
) -> Result<(), Error> {
    check_training_eps(options.eps)?;
    check_tail(options.activation, options.residual)?;
    check_running(options.running)?;
    shape.check_values()?;
    check_dtype::<E>(shape)?;
    let TrainingSlices { x, y, gamma, beta, running_mean, running_var, saved } = slices;
    let (channels, tracks) = (shape.channels(), options.running.is_some());
    check_length("x", x, shape.len())?;
    check_length("y", y, shape.len())?;
    check_optional("gamma", gamma, options.affine.has_gamma(), channels.into())?;
    check_optional("beta", beta, options.affine.has_beta(), channels.into())?;
    check_optional("running_mean", running_mean.as_deref(), tracks, channels.into())?;
    check_optional("running_var", running_var.as_deref(), tracks, channels.into())?;
    check_length("saved", saved, channels.into())?;
    if shape.is_empty() {
        return Ok(());
    }
    let extent = Extent::new(shape);
    let streams = streams::<E>(x.len());
    let arch = arch();
    let pivots = if extent.has_runs() { vec![] } else { matrix::pivots(arch, extent, x) };
    let pass = Pass { arch, extent, x, gamma, beta, options, pivots, streams };
    let running = running_mean.zip(running_var);
    match extent.division() {
        Division::Whole(tiles) => pass.whole(tiles, y, saved, running),
        Division::Split { tiles, channels } => pass.split(&tiles, channels, y, saved, running),
    }
    Ok(())
}

/// Mean and variance of some channels.
type Running<'a> = Option<(&'a mut [f32], &'a mut [f32])>;

/// One tile that is all of its channels, with what is written of it.
struct Whole<'a, E> {
    tile: Tile,
    y: Vec<&'a mut [E]>,
    saved: &'a mut [SavedStatistics],
    running: Running<'a>,
}

/// What all tiles read.
struct Pass<'a, E> {
    arch: Arch,
    extent: Extent,
    x: &'a [E],
    gamma: Option<&'a [f32]>,
    beta: Option<&'a [f32]>,
    options: &'a TrainingOptions,
    /// Per channel, where neighbouring values belong to different ones.
    pivots: Vec<f32>,
    streams: bool,
}

impl<E: Element> Pass<'_, E> {
    fn moments(&self, tile: &Tile, sums: &mut [Sums], workspace: &mut Workspace<E>) {
        if self.extent.has_runs() {
            planes::moments(self.arch, self.extent, self.x, tile, sums, workspace);
        } else {
            matrix::moments(self.arch, self.extent, self.x, &self.pivots, tile, sums, workspace);
        }
    }

    /// Writes the statistics of some channels.
    fn finish(&self, sums: &[Sums], saved: &mut [SavedStatistics], running: Running<'_>) {
        for (saved, sums) in saved.iter_mut().zip(sums) {
            *saved = sums.saved(self.options.eps);
        }
        if let (Some(options), Some((mean, variance))) = (self.options.running, running) {
            for ((sums, mean), variance) in sums.iter().zip(mean).zip(variance) {
                sums.update(options, mean, variance);
            }
        }
    }

    /// What the outputs of some channels are computed from.
    fn parameters(&self, first: usize, saved: &[SavedStatistics]) -> Parameters<3> {
        Parameters::new(saved.len(), |c| {
            let SavedStatistics { pivot, difference, invstd, .. } = saved[c];
            let gamma = self.gamma.map_or(1.0, |gamma| gamma[first + c]);
            let beta = self.beta.map_or(0.0, |beta| beta[first + c]);
            // What the pivot leaves of the mean goes into the shift: x - pivot is exact near the mean.
            let shift = f64::from(beta) - f64::from(difference) * f64::from(invstd) * f64::from(gamma);
            let [scale, rest] = scale(invstd, gamma);
            ([pivot, scale, shift as f32], rest)
        })
    }

    fn whole(&self, tiles: Vec<Tile>, y: &mut [E], saved: &mut [SavedStatistics], running: Running<'_>) {
        let Some(group) = tiles.first().map(|tile| tile.channels.len()) else { return };
        let (means, variances) = running.unzip();
        let mut means = means.map(|means| means.chunks_mut(group));
        let mut variances = variances.map(|variances| variances.chunks_mut(group));
        let mut tasks: Vec<Whole<'_, E>> = Vec::with_capacity(tiles.len());
        for (tile, saved) in tiles.into_iter().zip(saved.chunks_mut(group)) {
            let running =
                means.as_mut().and_then(Iterator::next).zip(variances.as_mut().and_then(Iterator::next));
            tasks.push(Whole { y: Vec::with_capacity(tile.rows.len()), tile, saved, running });
        }
        for row in y.chunks_mut(self.extent.stride()) {
            for (task, y) in tasks.iter_mut().zip(row.chunks_mut(group * self.extent.inner)) {
                task.y.push(y);
            }
        }
        for_each(self.extent.is_parallel(), Way::Forth, tasks, Workspace::new, |workspace, whole| {
            let Whole { tile, y, saved, running } = whole;
            let mut sums = [Sums::default(); MOST_CHANNELS];
            let sums = &mut sums[..tile.channels.len()];
            self.moments(&tile, sums, workspace);
            self.finish(sums, saved, running);
            let parameters = self.parameters(tile.channels.start, saved);
            let staging = &mut Staging::new(self.streams);
            // The last rows are the ones that are still in the nearest cache.
            for (row, y) in y.into_iter().enumerate().rev() {
                let start = row * self.extent.stride() + tile.channels.start * self.extent.inner;
                let x = &self.x[start..][..y.len()];
                let y = &mut Output::new(y, staging);
                planes::normalize(self.arch, x, y, (self.extent.inner, 0), parameters.fields(), workspace);
            }
        });
    }

    fn split(
        &self,
        tiles: &[Tile],
        group: usize,
        y: &mut [E],
        saved: &mut [SavedStatistics],
        running: Running<'_>,
    ) {
        let parallel = self.extent.is_parallel();
        let mut partial = vec![Sums::default(); tiles.len() * group];
        let tasks: Vec<(&Tile, &mut [Sums])> = tiles.iter().zip(partial.chunks_mut(group)).collect();
        for_each(parallel, Way::Forth, tasks, Workspace::new, |workspace, (tile, sums)| {
            self.moments(tile, &mut sums[..tile.channels.len()], workspace);
        });
        let sums = merged(self.extent, tiles, &partial, group, Sums::add);
        let (means, variances) = running.unzip();
        let mut means = means.map(|means| means.chunks_mut(SHARE));
        let mut variances = variances.map(|variances| variances.chunks_mut(SHARE));
        let mut next =
            || means.as_mut().and_then(Iterator::next).zip(variances.as_mut().and_then(Iterator::next));
        let shares =
            sums.chunks(SHARE).zip(saved.chunks_mut(SHARE)).map(|(sums, saved)| (sums, saved, next()));
        for_each(
            parallel,
            Way::Forth,
            shares.collect(),
            || (),
            |(), (sums, saved, running)| {
                self.finish(sums, saved, running);
            },
        );
        let parameters = self.parameters(0, saved);
        outputs(self.arch, self.extent, Way::Back, self.x, y, parameters.fields());
    }
}
