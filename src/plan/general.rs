//! [`Strategy::General`]: channels split over workgroups, partial results merged by a launch of their own.

use super::policy::Reduction;
use super::regions::Regions;
use super::{Launch, MAX_SETS, Place, Plan, Strategy};
use super::{argument, flat, merge, policy, slices, tiling};
use crate::caps::Caps;
use crate::error::Error;
use crate::kernel::{Kernel, Params, Parts, Sharing, Tuning};
use crate::options::{BackwardOptions, Gradients, TrainingOptions};
use crate::role::Role;
use crate::statistics::{GradientSums, Moments};
use crate::tensor::Shape;

/// The launches that reduce chunks of channels, and how many sets of partial results they leave; none over an empty
/// tensor.
fn reduce(
    name: &'static str,
    shape: &Shape,
    tensors: &[Role],
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
        let kernel = Kernel { name, parts: Parts::new(shape.dtype()), tuning, sharing: Sharing::Separate };
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

/// Gives all launches the region for partial results.
fn placed(mut launches: Vec<Launch>, partial: (Role, Place)) -> Vec<Launch> {
    for launch in &mut launches {
        launch.places.push(partial);
    }
    launches
}

pub(super) fn training(shape: &Shape, options: &TrainingOptions, caps: &Caps) -> Result<Plan, Error> {
    let channels = shape.channels();
    let (launches, sets) = reduce("train_moments", shape, &[Role::X], caps)?;
    let regions = Regions::new(Moments::SIZE, channels, sets, caps);
    let partial = (Role::PartialMoments, regions.partial);
    let mut launches = placed(launches, partial);
    // An empty batch has no statistics: what the caller has stays as it is.
    if !shape.is_empty() {
        let (eps, running) = (options.eps, options.running);
        launches.push(merge::train_launch(channels, sets, eps, running, vec![partial], caps)?);
    }
    let parts = Parts::new(shape.dtype()).affine(options.affine);
    launches.extend(flat::by_words("train_apply", shape, &[Role::X, Role::Y], parts, 0.0, caps)?);

    let arguments = argument::of_training(shape, options, regions.partial_bytes());
    plan("training", shape, launches, arguments, 3).checked(caps)
}

pub(super) fn backward(shape: &Shape, options: &BackwardOptions, caps: &Caps) -> Result<Plan, Error> {
    let channels = shape.channels();
    let gradients = options.gradients;
    let (launches, sets) = reduce("grad_sums", shape, &[Role::X, Role::Dy], caps)?;
    let regions = Regions::new(GradientSums::SIZE, channels, sets, caps);
    let (partial, sums) = ((Role::PartialSums, regions.partial), (Role::Sums, regions.merged));
    let mut launches = placed(launches, partial);
    launches.push(merge::grad_launch(channels, sets, gradients, vec![partial, sums], caps)?);
    if gradients.dx {
        let parts = Parts { beta: Default::default(), ..Parts::new(shape.dtype()).affine(options.affine) };
        for mut launch in
            flat::by_words("grad_apply", shape, &[Role::X, Role::Dy, Role::Dx], parts, 0.0, caps)?
        {
            launch.places.push(sums);
            launches.push(launch);
        }
    }

    let arguments = argument::of_backward(shape, options, regions.end);
    let passes = if gradients.dx { 5 } else { 2 };
    plan("backward", shape, launches, arguments, passes).checked(caps)
}

/// The stage that takes the moments of a tensor.
pub(super) fn batch_moments(shape: &Shape, caps: &Caps) -> Result<Plan, Error> {
    let channels = shape.channels();
    let (launches, sets) = reduce("train_moments", shape, &[Role::X], caps)?;
    let regions = Regions::new(Moments::SIZE, channels, sets, caps);
    let partial = (Role::PartialMoments, regions.partial);
    let mut launches = placed(launches, partial);
    let parts = Parts::default();
    launches.push(merge::launch("moments_merge", channels, sets, parts, vec![partial], caps)?);
    let arguments = argument::of_batch_moments(shape, regions.partial_bytes());
    plan("batch_moments", shape, launches, arguments, 1).checked(caps)
}

/// The stage that takes the gradient sums of a tensor.
pub(super) fn batch_gradient_sums(shape: &Shape, caps: &Caps) -> Result<Plan, Error> {
    let channels = shape.channels();
    let (launches, sets) = reduce("grad_sums", shape, &[Role::X, Role::Dy], caps)?;
    let regions = Regions::new(GradientSums::SIZE, channels, sets, caps);
    let partial = (Role::PartialSums, regions.partial);
    let mut launches = placed(launches, partial);
    let none = Gradients { dx: false, dgamma: false, dbeta: false };
    launches.push(merge::grad_launch(channels, sets, none, vec![partial], caps)?);
    let arguments = argument::of_batch_gradient_sums(shape, regions.partial_bytes());
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
