//! [`Strategy::Fused`] and [`Strategy::Resident`]: a workgroup takes a block from the first reading to the last writing.

use super::block::{Blocks, Share};
use super::upstream::Upstream;
use super::{Plan, Strategy, argument, flat, merge, policy, update};
use crate::caps::Caps;
use crate::error::Error;
use crate::kernel::{Parts, Presence, Source};
use crate::options::{BackwardOptions, TrainingOptions};
use crate::tensor::Shape;

pub(super) fn training(
    strategy: Strategy,
    shape: &Shape,
    options: &TrainingOptions,
    caps: &Caps,
) -> Result<Plan, Error> {
    let written = flat::outputs(options.residual).len() as u32;
    let (name, passes) = match strategy {
        Strategy::Resident => ("train_resident", written),
        _ => ("train_fused", 1 + written),
    };
    let (blocks, share) = share(strategy, shape, 1, caps)?;
    let parts = Parts::new(shape.dtype()).affine(options.affine).tail(options.activation, options.residual);
    let parts = merge::with_running(name, parts, options.running, caps);
    let mut launch = blocks.launch(name, shape, blocks.summing(parts, caps), share, 1, caps)?;
    merge::set_running(&mut launch.params, options.eps, options.running);
    let mut launches = vec![launch];
    flat::set_activation(&mut launches, options.activation);
    blocks.check(&launches, strategy, caps)?;
    launches.extend(update::of_training(shape, options, &launches, caps)?);
    let (subject, arguments) = (shape.to_string(), argument::of_training(shape, options, 0));
    let (operation, strategy) = ("training", Some(strategy));
    Plan { operation, subject, strategy, why: None, launches, arguments, passes }.checked(caps)
}

pub(super) fn backward(
    strategy: Strategy,
    shape: &Shape,
    options: &BackwardOptions,
    caps: &Caps,
) -> Result<Plan, Error> {
    let (gradients, upstream) = (options.gradients, Upstream::of_backward(shape, options));
    let first = upstream.first_passes(Source::Read);
    let (name, passes, later) = match strategy {
        Strategy::Resident => ("grad_resident", first + 1, upstream.held()),
        _ => ("grad_fused", first + upstream.later_passes(), upstream.walked_again()),
    };
    if !gradients.dx {
        let reason = "dx is not asked for, and nothing would be read twice".into();
        return Err(Error::Strategy { got: strategy.name(), reason });
    }
    let (blocks, share) = share(strategy, shape, 2, caps)?;
    let (dgamma, dbeta) = (Presence::of(gradients.dgamma), Presence::of(gradients.dbeta));
    let gamma = Presence::of(options.affine.has_gamma());
    let parts = Parts { gamma, dgamma, dbeta, later, ..upstream.written(Parts::new(shape.dtype())) };
    let mut launches = vec![blocks.launch(name, shape, blocks.summing(parts, caps), share, 1, caps)?];
    upstream.finish(&mut launches, false);
    blocks.check(&launches, strategy, caps)?;
    let (subject, arguments) = (shape.to_string(), argument::of_backward(shape, &upstream, 0));
    let (operation, strategy) = ("backward", Some(strategy));
    Plan { operation, subject, strategy, why: None, launches, arguments, passes }.checked(caps)
}

fn share(strategy: Strategy, shape: &Shape, tensors: u32, caps: &Caps) -> Result<(Blocks, Share), Error> {
    let refused = |reason| Error::Strategy { got: strategy.name(), reason };
    let blocks = Blocks::new(shape, caps).map_err(refused)?;
    if shape.size_in_bytes() > caps.max_binding_size.min(i32::MAX as u64) {
        return Err(refused(format!("a tensor of {} bytes is more than one binding", shape.size_in_bytes())));
    }
    let share = match strategy {
        Strategy::Resident => policy::resident(&blocks, tensors, caps),
        _ => policy::fused(&blocks, shape, caps),
    };
    share.map(|share| (blocks, share)).map_err(refused)
}
