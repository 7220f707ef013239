//! Batch norm into the weight and bias of the layer before it.

use super::argument::{affine, per_channel, tensor};
use super::{Access, Plan, flat};
use crate::caps::Caps;
use crate::error::Error;
use crate::kernel::{Parts, Presence};
use crate::options::FoldOptions;
use crate::role::Role;
use crate::tensor::Shape;

pub(super) fn fold(weight: &Shape, options: &FoldOptions, caps: &Caps) -> Result<Plan, Error> {
    let FoldOptions { eps, affine: parameters, groups, bias } = *options;
    let all = options.channels(weight)?;
    let parts = Parts::new(weight.dtype()).affine(parameters);
    let weights = Parts { beta: Presence::Given, ..parts };
    let mut launches = flat::by_words("fold_weight", weight, &[Role::X, Role::Y], weights, eps, caps)?;
    // The groups lie one after the other. Slices have no room for them.
    if groups > 1 && launches.len() > 1 {
        let (limit, got, needs) =
            ("max_storage_buffer_binding_size", caps.max_binding_size, weight.size_in_bytes());
        return Err(Error::Limit { argument: Role::Weight.name(), limit, got, needs });
    }
    for launch in &mut launches {
        launch.params.chunk = launch.params.len / groups;
        launch.binds(Role::X, Role::Weight);
        launch.binds(Role::Y, Role::FoldedWeight);
    }
    // The bias is what the layer gives where its input is 0.
    let biases = Shape::new(&[1, all as usize], 1, bias)?;
    let parts = Parts { elements: bias, ..parts };
    let mut bias = flat::by_words("infer_apply", &biases, &[Role::X, Role::Y], parts, eps, caps)?;
    for launch in &mut bias {
        launch.binds(Role::X, Role::Bias);
        launch.binds(Role::Y, Role::FoldedBias);
    }
    launches.extend(bias);

    let channels = all.into();
    let mut arguments = vec![
        tensor(Role::Weight, Access::Read, weight),
        tensor(Role::FoldedWeight, Access::Write, weight),
        tensor(Role::Bias, Access::Read, &biases),
        tensor(Role::FoldedBias, Access::Write, &biases),
        per_channel(Role::RunningMean, Access::Read, channels),
        per_channel(Role::RunningVar, Access::Read, channels),
    ];
    arguments.extend(affine(parameters, channels));
    let (operation, subject) = ("fold", weight.to_string());
    Plan { operation, subject, strategy: None, why: None, launches, arguments, passes: 2 }.checked(caps)
}
