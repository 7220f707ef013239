//! [`Strategy::Split`]: blocks split over workgroups, partial results merged by the launch that writes the tensor, or by
//! one of their own.

use super::block::{Blocks, Share};
use super::regions::Regions;
use super::{Launch, Plan, Strategy, argument, merge, policy};
use crate::caps::Caps;
use crate::error::Error;
use crate::kernel::{Parts, Presence};
use crate::options::{BackwardOptions, TrainingOptions};
use crate::role::Role;
use crate::statistics::{GradientSums, Moments};
use crate::tensor::Shape;

pub(super) fn training(shape: &Shape, options: &TrainingOptions, caps: &Caps) -> Result<Plan, Error> {
    let (blocks, reads, writes) = shares(shape, caps)?;
    let (channels, sets) = (shape.channels(), blocks.parts(reads));
    let regions = Regions::new(Moments::SIZE, channels, sets, caps);
    let partial = (Role::PartialMoments, regions.partial);
    let parts = Parts::new(shape.dtype());
    let affine = parts.affine(options.affine);
    let (eps, running) = (options.eps, options.running);

    let mut launches = vec![placed(
        blocks.launch("train_block_moments", shape, blocks.summing(parts, caps), reads, sets, caps)?,
        partial,
    )];
    if policy::merges_in_place(&blocks, sets, caps) {
        let parts = Parts { running: Presence::of(running.is_some()), ..affine };
        let mut launch =
            placed(blocks.launch("train_block_finish", shape, parts, writes, sets, caps)?, partial);
        merge::set_running(&mut launch.params, eps, running);
        launches.push(launch);
    } else {
        launches.push(merge::train_launch(channels, sets, eps, running, vec![partial], caps)?);
        launches.push(blocks.launch("train_block_apply", shape, affine, writes, 0, caps)?);
    }
    blocks.check(&launches, Strategy::Split, caps)?;
    let arguments = argument::of_training(shape, options, regions.partial_bytes());
    let (subject, strategy) = (shape.to_string(), Some(Strategy::Split));
    Plan { operation: "training", subject, strategy, launches, arguments, passes: 3 }.checked(caps)
}

pub(super) fn backward(shape: &Shape, options: &BackwardOptions, caps: &Caps) -> Result<Plan, Error> {
    let (blocks, reads, writes) = shares(shape, caps)?;
    let (channels, sets) = (shape.channels(), blocks.parts(reads));
    let gradients = options.gradients;
    let regions = Regions::new(GradientSums::SIZE, channels, sets, caps);
    let (partial, sums) = ((Role::PartialSums, regions.partial), (Role::Sums, regions.merged));
    let parts = Parts { gamma: Presence::of(options.affine.has_gamma()), ..Parts::new(shape.dtype()) };

    let mut launches = vec![placed(
        blocks.launch(
            "grad_block_sums",
            shape,
            blocks.summing(Parts::new(shape.dtype()), caps),
            reads,
            sets,
            caps,
        )?,
        partial,
    )];
    let in_place = gradients.dx && policy::merges_in_place(&blocks, sets, caps);
    if in_place {
        let (dgamma, dbeta) = (Presence::of(gradients.dgamma), Presence::of(gradients.dbeta));
        let parts = Parts { dgamma, dbeta, ..parts };
        launches.push(placed(blocks.launch("grad_block_finish", shape, parts, writes, sets, caps)?, partial));
    } else {
        launches.push(merge::grad_launch(channels, sets, gradients, vec![partial, sums], caps)?);
        if gradients.dx {
            launches.push(placed(blocks.launch("grad_block_apply", shape, parts, writes, 0, caps)?, sums));
        }
    }
    blocks.check(&launches, Strategy::Split, caps)?;
    let workspace = if in_place { regions.partial_bytes() } else { regions.end };
    let arguments = argument::of_backward(shape, options, workspace);
    let (subject, strategy) = (shape.to_string(), Some(Strategy::Split));
    let passes = if gradients.dx { 5 } else { 2 };
    Plan { operation: "backward", subject, strategy, launches, arguments, passes }.checked(caps)
}

fn placed(mut launch: Launch, place: (Role, super::Place)) -> Launch {
    launch.places.push(place);
    launch
}

/// The blocks, how they are shared out for the sums, and how for the values.
fn shares(shape: &Shape, caps: &Caps) -> Result<(Blocks, Share, Share), Error> {
    let refused = |reason| Error::Strategy { got: Strategy::Split.name(), reason };
    let blocks = Blocks::new(shape, caps).map_err(refused)?;
    let reads = policy::split(&blocks, shape, caps).map_err(refused)?;
    let writes = policy::apply(&blocks, shape, caps).map_err(refused)?;
    Ok((blocks, reads, writes))
}
