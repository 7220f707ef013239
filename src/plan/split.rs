//! [`Strategy::Split`]: channels split over workgroups, partial results merged by a launch of their own.

use super::argument::{per_channel, tensor, workspace};
use super::policy::Reduction;
use super::{Access, Launch, Place, Plan, Strategy};
use super::{flat, merge, policy, tiling};
use crate::caps::Caps;
use crate::error::Error;
use crate::kernel::{Kernel, Params, Parts, Sharing, Tuning};
use crate::options::{BackwardOptions, Gradients, TrainingOptions};
use crate::role::Role;
use crate::statistics::{GradientSums, Moments};
use crate::tensor::Shape;

/// The workspace: sets of partial results, then one set of merged ones.
struct Regions {
    partial: Place,
    merged: Place,
    end: u64,
}

impl Regions {
    fn new(record: u64, channels: u32, sets: u32, caps: &Caps) -> Self {
        let alignment = u64::from(caps.offset_alignment.max(4));
        let one_set = record * u64::from(channels);
        // A binding cannot be empty, even where there is no set to read.
        let partial = one_set * u64::from(sets.max(1));
        let merged = partial.next_multiple_of(alignment);
        Self {
            partial: Place::Workspace { offset: 0, bytes: partial },
            merged: Place::Workspace { offset: merged, bytes: one_set },
            end: merged + one_set,
        }
    }

    /// Bytes of the workspace of an operation whose merged results go elsewhere.
    fn partial_bytes(&self) -> u64 {
        match self.partial {
            Place::Workspace { bytes, .. } => bytes,
            Place::Argument(_) => 0,
        }
    }
}

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

    let mut arguments = vec![
        tensor(Role::X, Access::Read, shape),
        tensor(Role::Y, Access::Write, shape),
        per_channel(Role::Saved, Access::Write, channels.into()),
        workspace(regions.partial_bytes()),
    ];
    arguments.extend(flat::affine_arguments(options.affine, channels.into()));
    if options.running.is_some() {
        arguments.push(per_channel(Role::RunningMean, Access::ReadWrite, channels.into()));
        arguments.push(per_channel(Role::RunningVar, Access::ReadWrite, channels.into()));
    }
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

    let mut arguments = vec![
        tensor(Role::X, Access::Read, shape),
        tensor(Role::Dy, Access::Read, shape),
        per_channel(Role::Saved, Access::Read, channels.into()),
        workspace(regions.end),
    ];
    if gradients.dx {
        arguments.push(tensor(Role::Dx, Access::Write, shape));
        if options.affine.has_gamma() {
            arguments.push(per_channel(Role::Gamma, Access::Read, channels.into()));
        }
    }
    if gradients.dgamma {
        arguments.push(per_channel(Role::Dgamma, Access::Write, channels.into()));
    }
    if gradients.dbeta {
        arguments.push(per_channel(Role::Dbeta, Access::Write, channels.into()));
    }
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
    let (subject, strategy) = (shape.to_string(), Some(Strategy::Split));
    Plan { operation, subject, strategy, launches, arguments, passes }
}
