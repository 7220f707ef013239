//! [`Strategy::General`]: channels split over workgroups, partial results merged by a launch of their own.

use super::policy::Reduction;
use super::regions::Regions;
use super::upstream::Upstream;
use super::{Launch, MAX_SETS, Place, Plan, Strategy};
use super::{argument, flat, merge, policy, slices, split, tiling, update};
use crate::caps::Caps;
use crate::error::Error;
use crate::kernel::{Kernel, Params, Parts, Presence, Source, Tuning};
use crate::options::{BackwardOptions, Gradients, TrainingOptions};
use crate::role::Role;
use crate::statistics::{GradientSums, Moments};
use crate::tensor::Shape;

/// The launches that reduce chunks of channels, and how many sets of partial results they leave; none over an empty
/// tensor.
pub(super) fn reduce(
    name: &'static str,
    shape: &Shape,
    tensors: &[Role],
    parts: Parts,
    caps: &Caps,
) -> Result<(Vec<Launch>, u32), Error> {
    let (mut launches, mut sets, mut sets_before) = (Vec::new(), 0, 0);
    if shape.is_empty() {
        return Ok((launches, sets));
    }
    let mut plan: Option<(u32, Reduction)> = None;
    let slices = slices::slices(shape, policy::word_values(shape), caps)?;
    let sequences = slices.last().map_or(1, |last| last.sequence + 1);
    for slice in slices {
        let part = slice.shape;
        if plan.as_ref().is_none_or(|(sequence, _)| *sequence != slice.sequence) {
            let reduction = policy::reduction(&part, MAX_SETS / sequences, caps)?;
            sets_before = sets;
            sets += reduction.sets;
            plan = Some((slice.sequence, reduction));
        }
        let Some((_, Reduction { workgroup, channel_lanes, chunk, sets })) = plan else { continue };
        let workgroups = part.channels().div_ceil(channel_lanes) * sets;
        let tuning = Tuning { workgroup, channel_lanes, items: 1, block: policy::BLOCK };
        let kernel = Kernel::new(name, parts, tuning);
        let params = Params {
            channels: part.channels(),
            inner: part.inner(),
            count: part.values_per_channel(),
            len: part.len() as u32,
            chunk,
            sets,
            workgroups,
            ..Params::default()
        };
        let grid = tiling::fold(workgroups, caps)?;
        let mut launch = Launch { kernel, grid, params, places: Vec::new() };
        slice.bind(&mut launch, tensors, shape, caps);
        slice.store(&mut launch, sets_before);
        launches.push(launch);
    }
    Ok((launches, sets))
}

/// Gives all launches a region of the workspace.
pub(super) fn placed(mut launches: Vec<Launch>, region: (Role, Place)) -> Vec<Launch> {
    for launch in &mut launches {
        launch.places.push(region);
    }
    launches
}

pub(super) fn training(shape: &Shape, options: &TrainingOptions, caps: &Caps) -> Result<Plan, Error> {
    let channels = shape.channels();
    let (launches, sets) = reduce("train_moments", shape, &[Role::X], Parts::new(shape.dtype()), caps)?;
    let regions = Regions::new(Moments::SIZE, channels, sets, caps);
    let partial = (Role::PartialMoments, regions.partial);
    let mut launches = placed(launches, partial);
    // An empty batch has no statistics: what the caller has stays as it is.
    if !shape.is_empty() {
        let (eps, running) = (options.eps, options.running);
        launches.push(merge::train_launch(channels, sets, eps, running, vec![partial], caps)?);
    }
    let parts = Parts::new(shape.dtype()).affine(options.affine).tail(options.activation, options.residual);
    let tensors = flat::outputs(options.residual);
    launches.extend(flat::by_words("train_apply", shape, &tensors, parts, 0.0, caps)?);
    flat::set_activation(&mut launches, options.activation);
    launches.extend(update::of_training(shape, options, &launches, caps)?);

    let arguments = argument::of_training(shape, options, regions.partial_end());
    plan("training", shape, launches, arguments, 1 + tensors.len() as u32).checked(caps)
}

pub(super) fn backward(shape: &Shape, options: &BackwardOptions, caps: &Caps) -> Result<Plan, Error> {
    let (channels, gradients) = (shape.channels(), options.gradients);
    let upstream = Upstream::of_backward(shape, options);
    let (mut launches, mut passes) = residual_gradient(shape, &upstream, gradients, caps)?;
    let (mut workspace, summed) = (0, gradients.dx || gradients.dgamma || gradients.dbeta);
    if summed {
        let source = upstream.source(gradients.dx || gradients.dgamma);
        let parts = Parts { source, ..upstream.later(Parts::new(shape.dtype())) };
        let (sums, sets) = reduce("grad_sums", shape, &later_tensors(&upstream, source, None), parts, caps)?;
        let regions = Regions::new(GradientSums::SIZE, channels, sets, caps);
        let (partial, merged) = ((Role::PartialSums, regions.partial), (Role::Sums, regions.merged));
        let mut sums = placed(sums, partial);
        upstream.finish(&mut sums, true);
        launches.extend(sums);
        launches.push(merge::grad_launch(channels, sets, gradients, vec![partial, merged], caps)?);
        passes += u32::from(source == Source::Read) + upstream.later_passes() - 2;
        workspace = regions.end;
        if gradients.dx {
            let gamma = Presence::of(options.affine.has_gamma());
            let parts = Parts { gamma, ..upstream.later(Parts::new(shape.dtype())) };
            let tensors = later_tensors(&upstream, Source::Read, Some(Role::Dx));
            let applies = flat::by_words("grad_apply", shape, &tensors, parts, 0.0, caps)?;
            let mut applies = placed(applies, merged);
            upstream.finish(&mut applies, true);
            launches.extend(applies);
            passes += upstream.later_passes();
        }
    }
    let arguments = argument::of_backward(shape, &upstream, workspace);
    plan("backward", shape, launches, arguments, passes).checked(caps)
}

/// The launches that write the gradient by the residual, where it is asked for, and their passes.
pub(super) fn residual_gradient(
    shape: &Shape,
    upstream: &Upstream,
    gradients: Gradients,
    caps: &Caps,
) -> Result<(Vec<Launch>, u32), Error> {
    if !gradients.dresidual {
        return Ok((Vec::new(), 0));
    }
    let source = upstream.source(false);
    let parts = Parts { source, ..upstream.written(Parts::new(shape.dtype())) };
    let tensors = split::summed_tensors(upstream, parts);
    let mut launches = flat::by_words("grad_residual", shape, &tensors, parts, 0.0, caps)?;
    upstream.finish(&mut launches, false);
    Ok((launches, upstream.first_passes(source)))
}

/// The tensors of a launch that comes after one that has written the gradient by the residual.
pub(super) fn later_tensors(upstream: &Upstream, source: Source, written: Option<Role>) -> Vec<Role> {
    let x = (source == Source::Read).then_some(Role::X);
    x.into_iter().chain(upstream.later_tensors()).chain(written).collect()
}

/// The stage that takes the moments of a tensor.
pub(super) fn batch_moments(shape: &Shape, caps: &Caps) -> Result<Plan, Error> {
    let channels = shape.channels();
    let (launches, sets) = reduce("train_moments", shape, &[Role::X], Parts::new(shape.dtype()), caps)?;
    let regions = Regions::new(Moments::SIZE, channels, sets, caps);
    let partial = (Role::PartialMoments, regions.partial);
    let mut launches = placed(launches, partial);
    let parts = Parts::default();
    launches.push(merge::launch("moments_merge", channels, sets, parts, vec![partial], caps)?);
    let arguments = argument::of_batch_moments(shape, regions.partial_end());
    plan("batch_moments", shape, launches, arguments, 1).checked(caps)
}

/// The stage that takes the gradient sums of a tensor.
pub(super) fn batch_gradient_sums(shape: &Shape, caps: &Caps) -> Result<Plan, Error> {
    let channels = shape.channels();
    let (launches, sets) = reduce("grad_sums", shape, &[Role::X, Role::Dy], Parts::new(shape.dtype()), caps)?;
    let regions = Regions::new(GradientSums::SIZE, channels, sets, caps);
    let partial = (Role::PartialSums, regions.partial);
    let mut launches = placed(launches, partial);
    launches.push(merge::grad_launch(channels, sets, Gradients::NONE, vec![partial], caps)?);
    let arguments = argument::of_batch_gradient_sums(shape, regions.partial_end());
    plan("batch_gradient_sums", shape, launches, arguments, 2).checked(caps)
}

fn plan(
    operation: &'static str,
    shape: &Shape,
    launches: Vec<Launch>,
    arguments: Vec<super::Argument>,
    passes: u32,
) -> Plan {
    let (subject, strategy) = (shape.to_string(), Some(Strategy::General));
    Plan { operation, subject, strategy, why: None, launches, arguments, passes }
}
