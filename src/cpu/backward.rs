//! The training backward pass.

use pulp::Arch;

use super::arguments::{check_dtype, check_length, check_optional, check_tail};
use super::columns::arch;
use super::crew::{Way, for_each};
use super::division::{Division, Extent, Tile, merged};
use super::element::{Element, Workspace};
use super::output::{Output, Staging, streams};
use super::parameters::{Parameters, scale};
use super::{matrix, planes};
use crate::error::Error;
use crate::options::BackwardOptions;
use crate::statistics::SavedStatistics;
use crate::tensor::Shape;

/// The slices of [`backward`].
#[derive(Debug)]
pub struct BackwardSlices<'a, E> {
    /// Input tensor of the forward pass.
    pub x: &'a [E],
    /// Gradient of the loss by y, of the same shape.
    pub dy: &'a [E],
    /// Statistics per channel from the forward pass: that of [`training`](crate::cpu::training), or that of
    /// [`Training`](crate::Training).
    pub saved: &'a [SavedStatistics],
    /// Scale per channel; present if dx is asked for and the options' `affine` has gamma.
    pub gamma: Option<&'a [f32]>,
    /// Gradient of the loss by x, of the same shape, written; present if asked for.
    pub dx: Option<&'a mut [E]>,
    /// Gradient of the loss by gamma per channel, written; present if asked for.
    pub dgamma: Option<&'a mut [f32]>,
    /// Gradient of the loss by beta per channel, written; present if asked for.
    pub dbeta: Option<&'a mut [f32]>,
}

/// The training backward pass, section 3 of the paper; what [`Backward`](crate::Backward) does on a GPU.
///
/// # Errors
/// Before anything is written: [`Error::NoGradients`], [`Error::TooFewValues`], [`Error::Dtype`], [`Error::Length`],
/// [`Error::Missing`] and [`Error::Unexpected`].
///
/// ```
/// use wgpu_batchnorm::cpu::{self, BackwardSlices};
/// use wgpu_batchnorm::{BackwardOptions, Dtype, SavedStatistics, Shape};
///
/// let shape = Shape::new(&[2, 1], 1, Dtype::F32)?;
/// let saved = [SavedStatistics { pivot: 2.0, difference: 0.0, variance: 1.0, invstd: 1.0 }];
/// let (mut dx, mut dgamma, mut dbeta) = ([0.0; 2], [0.0], [0.0]);
/// cpu::backward(&shape, &BackwardOptions::default(), BackwardSlices {
///     x: &[1.0, 3.0],
///     dy: &[1.0, 0.0],
///     saved: &saved,
///     gamma: Some(&[1.0]),
///     dx: Some(&mut dx),
///     dgamma: Some(&mut dgamma),
///     dbeta: Some(&mut dbeta),
/// })?;
/// assert_eq!((dgamma, dbeta), ([-1.0], [1.0]));
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
pub fn backward<E: Element>(
    shape: &Shape,
    options: &BackwardOptions,
    slices: BackwardSlices<'_, E>,
) -> Result<(), Error> {
    let wanted = options.gradients;
    wanted.check(options.residual)?;
    check_tail(options.activation, options.residual)?;
    shape.check_values()?;
    check_dtype::<E>(shape)?;
    let BackwardSlices { x, dy, saved, gamma, dx, dgamma, dbeta } = slices;
    let channels = shape.channels();
    check_length("x", x, shape.len())?;
    check_length("dy", dy, shape.len())?;
    check_length("saved", saved, channels.into())?;
    check_optional("gamma", gamma, wanted.dx && options.affine.has_gamma(), channels.into())?;
    check_optional("dx", dx.as_deref(), wanted.dx, shape.len())?;
    check_optional("dgamma", dgamma.as_deref(), wanted.dgamma, channels.into())?;
    check_optional("dbeta", dbeta.as_deref(), wanted.dbeta, channels.into())?;

    let extent = Extent::new(shape);
    let mut sums = vec![[0.0; 2]; extent.channels];
    if !shape.is_empty() {
        let statistics = Parameters::new(saved.len(), |c| ([saved[c].pivot, saved[c].difference], 1.0));
        let streams = streams::<E>(x.len());
        let pass = Pass { arch: arch(), extent, x, dy, saved, statistics, gamma, streams };
        match (extent.division(), dx) {
            (Division::Whole(tiles), dx) => pass.whole(tiles, dx, &mut sums),
            (Division::Split { tiles, channels }, dx) => {
                sums = pass.sums(&tiles, channels);
                if let Some(dx) = dx {
                    pass.input_gradient(&sums, dx);
                }
            }
        }
    }
    for (dbeta, [dy, _]) in dbeta.into_iter().flatten().zip(&sums) {
        *dbeta = *dy as f32;
    }
    for ((dgamma, [_, dy_centered]), saved) in dgamma.into_iter().flatten().zip(&sums).zip(saved) {
        // An empty batch has no statistics.
        *dgamma = if shape.is_empty() { 0.0 } else { (dy_centered * f64::from(saved.invstd)) as f32 };
    }
    Ok(())
}

/// What all tiles read.
struct Pass<'a, E> {
    arch: Arch,
    extent: Extent,
    x: &'a [E],
    dy: &'a [E],
    saved: &'a [SavedStatistics],
    /// Pivot and difference.
    statistics: Parameters<2>,
    gamma: Option<&'a [f32]>,
    streams: bool,
}

/// One tile that is all of its channels, with what is written of it; without dx, of no rows.
struct Whole<'a, E> {
    tile: Tile,
    dx: Vec<&'a mut [E]>,
    sums: &'a mut [[f64; 2]],
}

impl<E: Element> Pass<'_, E> {
    fn gradients(&self, tile: &Tile, sums: &mut [[f64; 2]], workspace: &mut Workspace<E>) {
        let (tensors, fields) = ((self.x, self.dy), self.statistics.fields().each);
        if self.extent.has_runs() {
            planes::gradients(self.arch, self.extent, tensors, fields, tile, sums, workspace);
        } else {
            matrix::gradients(self.arch, self.extent, tensors, fields, tile, sums, workspace);
        }
    }

    /// What dx of some channels is computed from.
    fn parameters(&self, first: usize, sums: &[[f64; 2]]) -> Parameters<4> {
        let m = (self.extent.outer * self.extent.inner) as f64;
        Parameters::new(sums.len(), |c| {
            let [dy, dy_centered] = sums[c].map(|sum| sum / m);
            let SavedStatistics { pivot, difference, invstd, .. } = self.saved[first + c];
            let slope = dy_centered * f64::from(invstd) * f64::from(invstd);
            let gamma = self.gamma.map_or(1.0, |gamma| gamma[first + c]);
            // What the pivot leaves of the mean goes into the shift.
            let shift = dy - f64::from(difference) * slope;
            let [scale, rest] = scale(invstd, gamma);
            ([pivot, slope as f32, shift as f32, scale], rest)
        })
    }

    fn whole(&self, tiles: Vec<Tile>, dx: Option<&mut [E]>, sums: &mut [[f64; 2]]) {
        let Some(group) = tiles.first().map(|tile| tile.channels.len()) else { return };
        let rows = if dx.is_some() { self.extent.outer } else { 0 };
        let mut tasks: Vec<Whole<'_, E>> = Vec::with_capacity(tiles.len());
        for (tile, sums) in tiles.into_iter().zip(sums.chunks_mut(group)) {
            tasks.push(Whole { tile, dx: Vec::with_capacity(rows), sums });
        }
        for row in dx.into_iter().flat_map(|dx| dx.chunks_mut(self.extent.stride())) {
            for (task, dx) in tasks.iter_mut().zip(row.chunks_mut(group * self.extent.inner)) {
                task.dx.push(dx);
            }
        }
        for_each(
            self.extent.is_parallel(),
            Way::Forth,
            tasks,
            Workspace::new,
            |workspace, Whole { tile, dx, sums }| {
                self.gradients(&tile, sums, workspace);
                let parameters = self.parameters(tile.channels.start, sums);
                let staging = &mut Staging::new(self.streams);
                for (row, dx) in dx.into_iter().enumerate().rev() {
                    let start = row * self.extent.stride() + tile.channels.start * self.extent.inner;
                    let tensors = (&self.x[start..][..dx.len()], &self.dy[start..][..dx.len()]);
                    let dx = &mut Output::new(dx, staging);
                    planes::input_gradient(
                        self.arch,
                        tensors,
                        dx,
                        (self.extent.inner, 0),
                        parameters.fields(),
                        workspace,
                    );
                }
            },
        );
    }

    fn sums(&self, tiles: &[Tile], group: usize) -> Vec<[f64; 2]> {
        let mut partial = vec![[0.0; 2]; tiles.len() * group];
        let tasks: Vec<(&Tile, &mut [[f64; 2]])> = tiles.iter().zip(partial.chunks_mut(group)).collect();
        for_each(self.extent.is_parallel(), Way::Forth, tasks, Workspace::new, |workspace, (tile, sums)| {
            self.gradients(tile, &mut sums[..tile.channels.len()], workspace);
        });
        merged(self.extent, tiles, &partial, group, |sums, partial: &[f64; 2]| {
            *sums = [sums[0] + partial[0], sums[1] + partial[1]];
        })
    }

    fn input_gradient(&self, sums: &[[f64; 2]], dx: &mut [E]) {
        let (arch, extent, parameters) = (self.arch, self.extent, self.parameters(0, sums));
        let fields = parameters.fields();
        for_each(
            extent.is_parallel(),
            Way::Back,
            extent.chunks(dx),
            Workspace::new,
            |workspace, (start, dx)| {
                let tensors = (&self.x[start..][..dx.len()], &self.dy[start..][..dx.len()]);
                let staging = &mut Staging::new(self.streams);
                let dx = &mut Output::new(dx, staging);
                if extent.has_runs() {
                    let first = start / extent.inner % extent.channels;
                    planes::input_gradient(arch, tensors, dx, (extent.inner, first), fields, workspace);
                } else {
                    matrix::input_gradient(arch, extent, tensors, dx, fields, workspace);
                }
            },
        );
    }
}
