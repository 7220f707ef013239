//! [`Strategy::Fused`] and [`Strategy::Resident`]: a workgroup takes a block from the first reading to the last writing.

use super::block::{Blocks, Share};
use super::{Plan, Strategy, argument, merge, policy};
use crate::caps::Caps;
use crate::error::Error;
use crate::kernel::{Parts, Presence};
use crate::options::{BackwardOptions, TrainingOptions};
use crate::tensor::Shape;

pub(super) fn training(
    strategy: Strategy,
    shape: &Shape,
    options: &TrainingOptions,
    caps: &Caps,
) -> Result<Plan, Error> {
    let (name, passes) = match strategy {
        Strategy::Resident => ("train_resident", 2),
        _ => ("train_fused", 3),
    };
    let (blocks, share) = share(strategy, shape, 1, caps)?;
    let parts = Parts::new(shape.dtype()).affine(options.affine);
    let parts = Parts { running: Presence::of(options.running.is_some()), ..parts };
    let mut launch = blocks.launch(name, shape, blocks.summing(parts, caps), share, 1, caps)?;
    merge::set_running(&mut launch.params, options.eps, options.running);
    let launches = vec![launch];
    blocks.check(&launches, strategy, caps)?;
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
    let (name, passes) = match strategy {
        Strategy::Resident => ("grad_resident", 3),
        _ => ("grad_fused", 5),
    };
    let gradients = options.gradients;
    if !gradients.dx {
        let reason = "dx is not asked for, and nothing would be read twice".into();
        return Err(Error::Strategy { got: strategy.name(), reason });
    }
    let (blocks, share) = share(strategy, shape, 2, caps)?;
    let (dgamma, dbeta) = (Presence::of(gradients.dgamma), Presence::of(gradients.dbeta));
    let gamma = Presence::of(options.affine.has_gamma());
    let parts = Parts { gamma, dgamma, dbeta, ..Parts::new(shape.dtype()) };
    let launches = vec![blocks.launch(name, shape, blocks.summing(parts, caps), share, 1, caps)?];
    blocks.check(&launches, strategy, caps)?;
    let (subject, arguments) = (shape.to_string(), argument::of_backward(shape, options, 0));
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
