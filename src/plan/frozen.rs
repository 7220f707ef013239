//! The backward pass of inference: the statistics are given, so that nothing waits for a sum.

use super::argument::{per_channel, tensor, workspace};
use super::block::Blocks;
use super::regions::Regions;
use super::upstream::Upstream;
use super::{Access, Launch, Place, Plan, Strategy, flat, general, merge, policy, split, tiling};
use crate::caps::Caps;
use crate::error::Error;
use crate::kernel::{Kernel, Params, Parts, Presence, Source, Tuning};
use crate::options::{FrozenBackwardOptions, Gradients};
use crate::role::Role;
use crate::statistics::{GradientSums, SavedStatistics};
use crate::tensor::Shape;

/// The launches, without the one that prepares the statistics; their passes; and the end of what they use of the workspace.
type Launches = (Vec<Launch>, u32, u64);

pub(super) fn backward(shape: &Shape, options: &FrozenBackwardOptions, caps: &Caps) -> Result<Plan, Error> {
    let upstream = Upstream::of_frozen(shape, options);
    let source = upstream.source(options.gradients.dgamma);
    let (launches, passes, end) = alone(shape, options, &upstream, caps)
        .or_else(|_| by_vectors(shape, options, &upstream, caps))
        .or_else(|_| by_words(shape, options, &upstream, caps))?;
    let statistics = (Role::Saved, Place::Workspace { offset: 0, bytes: statistics_bytes(shape) });
    let mut launches = split::placed(launches, statistics);
    if !launches.is_empty() {
        launches.insert(0, prepare(shape, options.eps, source, statistics, caps)?);
    }
    let mut arguments = vec![
        tensor(Role::Dy, Access::Read, shape),
        per_channel(Role::RunningMean, Access::Read, shape.channels().into()),
        per_channel(Role::RunningVar, Access::Read, shape.channels().into()),
        workspace(end.max(statistics_bytes(shape))),
    ];
    arguments.extend((source == Source::Read).then(|| tensor(Role::X, Access::Read, shape)));
    arguments.extend(upstream.arguments(shape));
    let (operation, subject) = ("frozen_backward", shape.to_string());
    Plan { operation, subject, strategy: None, why: None, launches, arguments, passes }.checked(caps)
}

/// The running statistics as records of saved ones, at the beginning of the workspace. Without x there is nothing to center.
fn prepare(
    shape: &Shape,
    eps: f32,
    source: Source,
    statistics: (Role, Place),
    caps: &Caps,
) -> Result<Launch, Error> {
    let (workgroup, channels) = (policy::widest_workgroup(caps)?, shape.channels());
    let workgroups = channels.div_ceil(workgroup);
    let tuning = Tuning { workgroup, channel_lanes: 1, items: 1, block: policy::BLOCK };
    let kernel = Kernel::new("frozen_statistics", Parts { source, ..Parts::default() }, tuning);
    let params = Params { channels, workgroups, eps, ..Params::default() };
    Ok(Launch { kernel, grid: tiling::fold(workgroups, caps)?, params, places: vec![statistics] })
}

fn statistics_bytes(shape: &Shape) -> u64 {
    SavedStatistics::SIZE * u64::from(shape.channels())
}

fn regions(shape: &Shape, sets: u32, caps: &Caps) -> Regions {
    Regions::new(GradientSums::SIZE, shape.channels(), sets, caps).after(statistics_bytes(shape), caps)
}

/// dx and nothing else: dy by the launch that scales x, about a mean of 0.
fn alone(
    shape: &Shape,
    options: &FrozenBackwardOptions,
    upstream: &Upstream,
    caps: &Caps,
) -> Result<Launches, Error> {
    let only = Gradients { dx: true, ..Gradients::NONE };
    if options.gradients != only || upstream.acts() {
        return Err(Error::Strategy { got: "dx alone", reason: "more is asked for".to_owned() });
    }
    let gamma = Presence::of(options.affine.has_gamma());
    let parts = Parts { gamma, beta: Presence::Absent, ..Parts::new(shape.dtype()) };
    let tensors = [Role::X, Role::Y];
    let mut launches = flat::by_vectors("train_block_apply", shape, &tensors, parts, 0.0, caps)?;
    for launch in &mut launches {
        launch.binds(Role::X, Role::Dy);
        launch.binds(Role::Y, Role::Dx);
    }
    Ok((launches, 2, 0))
}

/// By blocks: one launch for the sums and everything else.
fn by_vectors(
    shape: &Shape,
    options: &FrozenBackwardOptions,
    upstream: &Upstream,
    caps: &Caps,
) -> Result<Launches, Error> {
    let gradients = options.gradients;
    let source = upstream.source(gradients.dgamma);
    let (gamma, dx) = (Presence::of(options.affine.has_gamma()), Presence::of(gradients.dx));
    let summed = gradients.dgamma || gradients.dbeta;
    let written = Parts { sums: Presence::of(summed), ..upstream.written(Parts::new(shape.dtype())) };
    let all = Parts { source, frozen_dx: dx, gamma, ..written };
    let blocks =
        Blocks::new(shape, caps).map_err(|reason| Error::Strategy { got: Strategy::Split.name(), reason })?;
    let reduce = |parts: Parts, tensors: Vec<Role>| {
        let (launches, sets, _) = split::reduce("grad_block_sums", shape, &tensors, parts, caps)?;
        let regions = regions(shape, sets, caps);
        let launches = match parts.sums {
            Presence::Given => split::placed(launches, (Role::PartialSums, regions.partial)),
            Presence::Absent => launches,
        };
        blocks.check(&launches, Strategy::Split, caps).map(|()| (launches, regions, sets))
    };
    let at_once = reduce(all, split::summed_tensors(upstream, all));
    // What binds too much for the device is done one after the other.
    let first = Parts { source, ..written };
    let one_by_one = at_once.is_err();
    let (mut launches, regions, sets) = match at_once {
        Ok(done) => done,
        Err(_) => reduce(first, split::summed_tensors(upstream, first))?,
    };
    upstream.finish(&mut launches, false);
    let mut passes = upstream.first_passes(source) + u32::from(gradients.dx);
    let mut end = 0;
    if summed {
        end = regions.end;
        let places = vec![(Role::PartialSums, regions.partial), (Role::Sums, regions.merged)];
        launches.push(merge::grad_launch(shape.channels(), sets, gradients, places, caps)?);
    }
    if one_by_one {
        let source = if upstream.rereads() { Source::Read } else { Source::Unread };
        let parts = upstream.later(Parts::new(shape.dtype()));
        let parts = Parts { source, frozen_dx: dx, gamma, sums: Presence::Absent, ..parts };
        let tensors = general::later_tensors(upstream, source, Some(Role::Dx));
        passes += tensors.len() as u32 - 1;
        let (mut last, ..) = reduce(parts, tensors)?;
        upstream.finish(&mut last, true);
        launches.extend(last);
    }
    Ok((launches, passes, end))
}

/// Word by word, for every shape.
fn by_words(
    shape: &Shape,
    options: &FrozenBackwardOptions,
    upstream: &Upstream,
    caps: &Caps,
) -> Result<Launches, Error> {
    let gradients = options.gradients;
    let (mut launches, mut passes) = general::residual_gradient(shape, upstream, gradients, caps)?;
    let reads = |source| u32::from(source == Source::Read) + upstream.later_passes() - 2;
    let source_of = |products| {
        if products || upstream.rereads() { Source::Read } else { Source::Unread }
    };
    let mut end = 0;
    if gradients.dgamma || gradients.dbeta {
        let source = source_of(gradients.dgamma);
        let parts = Parts { source, ..upstream.later(Parts::new(shape.dtype())) };
        let tensors = general::later_tensors(upstream, source, None);
        let (sums, sets) = general::reduce("grad_sums", shape, &tensors, parts, caps)?;
        let all = regions(shape, sets, caps);
        end = all.end;
        let mut sums = split::placed(sums, (Role::PartialSums, all.partial));
        upstream.finish(&mut sums, true);
        launches.extend(sums);
        let places = vec![(Role::PartialSums, all.partial), (Role::Sums, all.merged)];
        launches.push(merge::grad_launch(shape.channels(), sets, gradients, places, caps)?);
        passes += reads(source);
    }
    if gradients.dx {
        let source = source_of(false);
        let gamma = Presence::of(options.affine.has_gamma());
        let parts = Parts { source, gamma, ..upstream.later(Parts::new(shape.dtype())) };
        let tensors = general::later_tensors(upstream, source, Some(Role::Dx));
        let mut applies = flat::by_words("frozen_apply", shape, &tensors, parts, 0.0, caps)?;
        upstream.finish(&mut applies, true);
        launches.extend(applies);
        passes += reads(source) + 1;
    }
    Ok((launches, passes, end))
}
