//! [`Strategy::Split`]: blocks split over workgroups, partial results merged by the launch that writes the tensor, or by
//! one of their own.

use super::block::{Blocks, Share};
use super::regions::Regions;
use super::upstream::Upstream;
use super::{
    Argument, Launch, MAX_SETS, Place, Plan, Strategy, argument, flat, merge, policy, slices, update,
};
use crate::caps::Caps;
use crate::error::Error;
use crate::kernel::{Parts, Presence, Source};
use crate::options::{BackwardOptions, Gradients, TrainingOptions};
use crate::role::Role;
use crate::statistics::{GradientSums, Moments};
use crate::tensor::Shape;

pub(super) fn training(shape: &Shape, options: &TrainingOptions, caps: &Caps) -> Result<Plan, Error> {
    let channels = shape.channels();
    let (launches, sets, blocks) =
        reduce("train_block_moments", shape, &[Role::X], Parts::new(shape.dtype()), caps)?;
    let regions = Regions::new(Moments::SIZE, channels, sets, caps);
    let partial = (Role::PartialMoments, regions.partial);
    let mut launches = placed(launches, partial);
    let parts = Parts::new(shape.dtype()).affine(options.affine).tail(options.activation, options.residual);
    let (eps, running, tensors) = (options.eps, options.running, flat::outputs(options.residual));

    if launches.len() == 1 && policy::merges_in_place(&blocks, sets, caps) {
        let name = "train_block_finish";
        let parts = merge::with_running(name, parts, running, caps);
        let share = policy::apply(&blocks, caps).map_err(refused)?;
        let mut launch = blocks.launch(name, shape, parts, share, sets, caps)?;
        merge::set_running(&mut launch.params, eps, running);
        launches.extend(placed(vec![launch], partial));
    } else {
        launches.push(merge::train_launch(channels, sets, eps, running, vec![partial], caps)?);
        launches.extend(flat::by_vectors("train_block_apply", shape, &tensors, parts, 0.0, caps)?);
    }
    flat::set_activation(&mut launches, options.activation);
    blocks.check(&launches, Strategy::Split, caps)?;
    launches.extend(update::of_training(shape, options, &launches, caps)?);
    let arguments = argument::of_training(shape, options, regions.partial_end());
    plan("training", shape, launches, arguments, 1 + tensors.len() as u32).checked(caps)
}

pub(super) fn backward(shape: &Shape, options: &BackwardOptions, caps: &Caps) -> Result<Plan, Error> {
    let (channels, gradients) = (shape.channels(), options.gradients);
    let upstream = Upstream::of_backward(shape, options);
    let source = upstream.source(gradients.dx || gradients.dgamma);
    let summed = Presence::of(gradients.dx || gradients.dgamma || gradients.dbeta);
    let parts = Parts { source, sums: summed, ..upstream.written(Parts::new(shape.dtype())) };
    let (launches, sets, blocks) =
        reduce("grad_block_sums", shape, &summed_tensors(&upstream, parts), parts, caps)?;
    let regions = Regions::new(GradientSums::SIZE, channels, sets, caps);
    let (partial, sums) = ((Role::PartialSums, regions.partial), (Role::Sums, regions.merged));
    let mut launches = if summed == Presence::Given { placed(launches, partial) } else { launches };
    upstream.finish(&mut launches, false);
    let mut passes = upstream.first_passes(source);

    let gamma = Presence::of(options.affine.has_gamma());
    let parts = Parts { gamma, ..upstream.later(Parts::new(shape.dtype())) };
    let finish =
        Parts { dgamma: Presence::of(gradients.dgamma), dbeta: Presence::of(gradients.dbeta), ..parts };
    let mut merged = None;
    if gradients.dx && launches.len() == 1 && policy::merges_in_place(&blocks, sets, caps) {
        let share = policy::apply(&blocks, caps).map_err(refused)?;
        let launch = blocks.launch("grad_block_finish", shape, finish, share, sets, caps)?;
        let mut launch = placed(vec![launch], partial);
        // One that binds too much leaves the merging to a launch of its own.
        if blocks.check(&launch, Strategy::Split, caps).is_ok() {
            upstream.finish(&mut launch, true);
            merged = Some(launch);
        }
    }
    let in_place = merged.is_some();
    if let Some(launch) = merged {
        launches.extend(launch);
    } else if gradients.dx || gradients.dgamma || gradients.dbeta {
        launches.push(merge::grad_launch(channels, sets, gradients, vec![partial, sums], caps)?);
        if gradients.dx {
            let tensors: Vec<Role> =
                [Role::X, Role::Dx].into_iter().chain(upstream.later_tensors()).collect();
            let applies = flat::by_vectors("grad_block_apply", shape, &tensors, parts, 0.0, caps)?;
            let mut applies = placed(applies, sums);
            upstream.finish(&mut applies, true);
            launches.extend(applies);
        }
    }
    if gradients.dx {
        passes += upstream.later_passes();
    }
    blocks.check(&launches, Strategy::Split, caps)?;
    let workspace = match (summed, in_place) {
        (Presence::Absent, _) => 0,
        (Presence::Given, true) => regions.partial_end(),
        (Presence::Given, false) => regions.end,
    };
    let arguments = argument::of_backward(shape, &upstream, workspace);
    plan("backward", shape, launches, arguments, passes).checked(caps)
}

/// The tensors of a launch that takes gradient sums.
pub(super) fn summed_tensors(upstream: &Upstream, parts: Parts) -> Vec<Role> {
    let given = |presence| presence == Presence::Given;
    let mut tensors = upstream.tensors();
    tensors.extend((parts.source == Source::Read).then_some(Role::X));
    tensors.extend(given(parts.dresidual).then_some(Role::Dresidual));
    tensors.extend(given(parts.frozen_dx).then_some(Role::Dx));
    tensors
}

/// The stage that takes the moments of a tensor.
pub(super) fn batch_moments(shape: &Shape, caps: &Caps) -> Result<Plan, Error> {
    let channels = shape.channels();
    let (launches, sets, _) =
        reduce("train_block_moments", shape, &[Role::X], Parts::new(shape.dtype()), caps)?;
    let regions = Regions::new(Moments::SIZE, channels, sets, caps);
    let partial = (Role::PartialMoments, regions.partial);
    let mut launches = placed(launches, partial);
    launches.push(merge::launch("moments_merge", channels, sets, Parts::default(), vec![partial], caps)?);
    let arguments = argument::of_batch_moments(shape, regions.partial_end());
    plan("batch_moments", shape, launches, arguments, 1).checked(caps)
}

/// The stage that takes the gradient sums of a tensor.
pub(super) fn batch_gradient_sums(shape: &Shape, caps: &Caps) -> Result<Plan, Error> {
    let channels = shape.channels();
    let (launches, sets, _) =
        reduce("grad_block_sums", shape, &[Role::X, Role::Dy], Parts::new(shape.dtype()), caps)?;
    let regions = Regions::new(GradientSums::SIZE, channels, sets, caps);
    let partial = (Role::PartialSums, regions.partial);
    let mut launches = placed(launches, partial);
    launches.push(merge::grad_launch(channels, sets, Gradients::NONE, vec![partial], caps)?);
    let arguments = argument::of_batch_gradient_sums(shape, regions.partial_end());
    plan("batch_gradient_sums", shape, launches, arguments, 2).checked(caps)
}

/// The launches that reduce parts of blocks, how many sets of partial results they leave, and the blocks of the whole.
pub(super) fn reduce(
    name: &'static str,
    shape: &Shape,
    tensors: &[Role],
    parts: Parts,
    caps: &Caps,
) -> Result<(Vec<Launch>, u32, Blocks), Error> {
    let all = Blocks::new(shape, caps).map_err(refused)?;
    let (mut launches, mut sets, mut sets_before) = (Vec::new(), 0, 0);
    let mut plan: Option<(u32, Share)> = None;
    let slices = slices::slices(shape, all.lanes(), caps)?;
    let sequences = slices.last().map_or(1, |last| last.sequence + 1);
    for slice in slices {
        let blocks = Blocks::new(&slice.shape, caps).map_err(refused)?;
        if plan.is_none_or(|(sequence, _)| sequence != slice.sequence) {
            let share = policy::split(&blocks, shape, MAX_SETS / sequences, caps).map_err(refused)?;
            sets_before = sets;
            sets += blocks.parts(share);
            plan = Some((slice.sequence, share));
        }
        let Some((_, share)) = plan else { continue };
        let parts = blocks.summing(parts, caps);
        let mut launch = blocks.launch(name, &slice.shape, parts, share, blocks.parts(share), caps)?;
        slice.bind(&mut launch, tensors, shape, caps);
        slice.store(&mut launch, sets_before);
        launches.push(launch);
    }
    Ok((launches, sets, all))
}

/// Gives all launches a region of the workspace.
pub(super) fn placed(mut launches: Vec<Launch>, region: (Role, Place)) -> Vec<Launch> {
    for launch in &mut launches {
        launch.places.push(region);
    }
    launches
}

fn refused(reason: String) -> Error {
    Error::Strategy { got: Strategy::Split.name(), reason }
}

fn plan(
    operation: &'static str,
    shape: &Shape,
    launches: Vec<Launch>,
    arguments: Vec<Argument>,
    passes: u32,
) -> Plan {
    let (subject, strategy) = (shape.to_string(), Some(Strategy::Split));
    Plan { operation, subject, strategy, why: None, launches, arguments, passes }
}
