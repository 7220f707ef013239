//! [`Strategy::General`]: channels split over workgroups, partial results merged by a launch of their own.

use super::argument::{per_channel, tensor, workspace};
use super::policy::Reduction;
use super::regions::Regions;
use super::{Access, Launch, Place, Plan, Strategy};
use super::{argument, flat, merge, policy, tiling};
use crate::caps::Caps;
use crate::error::Error;
use crate::kernel::{Kernel, Params, Parts, Sharing, Tuning};
use crate::options::{BackwardOptions, Gradients, TrainingOptions};
use crate::role::Role;
use crate::statistics::{GradientSums, Moments};
use crate::tensor::Shape;

/// The launch that reduces chunks of channels; none over an empty tensor.
fn reduce(
    name: &'static str,
    shape: &Shape,
    plan: &Reduction,
    place: (Role, Place),
    caps: &Caps,
) -> Result<Vec<Launch>, Error> {
    if shape.is_empty() {
        return Ok(Vec::new());
    }
    let Reduction { workgroup, channel_lanes, chunk, sets } = *plan;
    let workgroups = shape.channels().div_ceil(channel_lanes) * sets;
    let tuning = Tuning { workgroup, channel_lanes, items: 1, block: policy::BLOCK };
    let kernel = Kernel { name, parts: Parts::new(shape.dtype()), tuning, sharing: Sharing::Separate };
    let params = Params {
        channels: shape.channels(),
        inner: shape.inner(),
        count: shape.values_per_channel(),
        len: shape.len(),
        chunk,
        sets,
        workgroups,
        ..Params::default()
    };
    Ok(vec![Launch { kernel, grid: tiling::fold(workgroups, caps)?, params, places: vec![place] }])
}

pub(super) fn training(shape: &Shape, options: &TrainingOptions, caps: &Caps) -> Result<Plan, Error> {
    let channels = shape.channels();
    let reduction = policy::reduction(shape, caps)?;
    let regions = Regions::new(Moments::SIZE, channels, reduction.sets, caps);
    let partial = (Role::PartialMoments, regions.partial);
    let mut launches = reduce("train_moments", shape, &reduction, partial, caps)?;
    // An empty batch has no statistics: what the caller has stays as it is.
    if !shape.is_empty() {
        let (eps, running) = (options.eps, options.running);
        launches.push(merge::train_launch(channels, reduction.sets, eps, running, vec![partial], caps)?);
    }
    let parts = Parts::new(shape.dtype()).affine(options.affine);
    launches.extend(flat::launch("train_apply", shape, parts, 0.0, caps)?);

    let arguments = argument::of_training(shape, options, regions.partial_bytes());
    plan("training", shape, launches, arguments, 3).checked(caps)
}

pub(super) fn backward(shape: &Shape, options: &BackwardOptions, caps: &Caps) -> Result<Plan, Error> {
    let channels = shape.channels();
    let gradients = options.gradients;
    let reduction = policy::reduction(shape, caps)?;
    let regions = Regions::new(GradientSums::SIZE, channels, reduction.sets, caps);
    let (partial, sums) = ((Role::PartialSums, regions.partial), (Role::Sums, regions.merged));
    let mut launches = reduce("grad_sums", shape, &reduction, partial, caps)?;
    launches.push(merge::grad_launch(channels, reduction.sets, gradients, vec![partial, sums], caps)?);
    if gradients.dx {
        let parts = Parts { beta: Default::default(), ..Parts::new(shape.dtype()).affine(options.affine) };
        for mut launch in flat::launch("grad_apply", shape, parts, 0.0, caps)? {
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
    let reduction = policy::reduction(shape, caps)?;
    let regions = Regions::new(Moments::SIZE, channels, reduction.sets, caps);
    let partial = (Role::PartialMoments, regions.partial);
    let mut launches = reduce("train_moments", shape, &reduction, partial, caps)?;
    let parts = Parts::default();
    launches.push(merge::launch("moments_merge", channels, reduction.sets, parts, vec![partial], caps)?);
    let arguments = vec![
        tensor(Role::X, Access::Read, shape),
        per_channel(Role::Moments, Access::Write, channels.into()),
        workspace(regions.partial_bytes()),
    ];
    plan("batch_moments", shape, launches, arguments, 1).checked(caps)
}

/// The stage that takes the gradient sums of a tensor.
pub(super) fn batch_gradient_sums(shape: &Shape, caps: &Caps) -> Result<Plan, Error> {
    let channels = shape.channels();
    let reduction = policy::reduction(shape, caps)?;
    let regions = Regions::new(GradientSums::SIZE, channels, reduction.sets, caps);
    let partial = (Role::PartialSums, regions.partial);
    let mut launches = reduce("grad_sums", shape, &reduction, partial, caps)?;
    let none = Gradients { dx: false, dgamma: false, dbeta: false };
    launches.push(merge::grad_launch(channels, reduction.sets, none, vec![partial], caps)?);
    let arguments = vec![
        tensor(Role::X, Access::Read, shape),
        tensor(Role::Dy, Access::Read, shape),
        per_channel(Role::Saved, Access::Read, channels.into()),
        per_channel(Role::Sums, Access::Write, channels.into()),
        workspace(regions.partial_bytes()),
    ];
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
    Plan { operation, subject, strategy, launches, arguments, passes }
}
