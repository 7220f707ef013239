//! Launches that walk the tensor, each value on its own.

use super::argument::{per_channel, tensor};
use super::block::Blocks;
use super::{Access, Argument, Launch, Plan, argument, policy, slices, tiling};
use crate::activation::Activation;
use crate::caps::Caps;
use crate::error::Error;
use crate::kernel::{Kernel, Params, Parts, Tuning};
use crate::options::{Affine, InferenceOptions, Residual};
use crate::role::Role;
use crate::tensor::Shape;

/// Launches over the tensor: by blocks of vectors where it has some, else word by word; none over an empty one.
fn launches(
    [vectors, words]: [&'static str; 2],
    shape: &Shape,
    tensors: &[Role],
    parts: Parts,
    eps: f32,
    caps: &Caps,
) -> Result<Vec<Launch>, Error> {
    by_vectors(vectors, shape, tensors, parts, eps, caps)
        .or_else(|_| by_words(words, shape, tensors, parts, eps, caps))
}

/// Launches over the blocks of a tensor, the last slice first: the end is what the cache holds.
pub(super) fn by_vectors(
    name: &'static str,
    shape: &Shape,
    tensors: &[Role],
    parts: Parts,
    eps: f32,
    caps: &Caps,
) -> Result<Vec<Launch>, Error> {
    let refused = |reason| Error::Strategy { got: "vectors", reason };
    let blocks = Blocks::new(shape, caps).map_err(refused)?;
    let mut launches = Vec::new();
    for slice in slices::slices(shape, blocks.lanes(), caps)?.into_iter().rev() {
        let blocks = Blocks::new(&slice.shape, caps).map_err(refused)?;
        let share = policy::apply(&blocks, caps).map_err(refused)?;
        let mut launch = blocks.launch(name, &slice.shape, parts, share, 0, caps)?;
        launch.params.eps = eps;
        slice.bind(&mut launch, tensors, shape, caps);
        launches.push(launch);
    }
    Ok(launches)
}

/// Launches over the tensor word by word, the last slice first; none over an empty one.
pub(super) fn by_words(
    name: &'static str,
    shape: &Shape,
    tensors: &[Role],
    parts: Parts,
    eps: f32,
    caps: &Caps,
) -> Result<Vec<Launch>, Error> {
    let mut launches = Vec::new();
    if shape.is_empty() {
        return Ok(launches);
    }
    let workgroup = policy::widest_workgroup(caps)?;
    let word_values = policy::word_values(shape);
    for slice in slices::slices(shape, word_values, caps)?.into_iter().rev() {
        let part = slice.shape;
        let words = part.size_in_bytes() / 4;
        let workgroups = words.div_ceil(u64::from(workgroup * policy::ITEMS)) as u32;
        let tuning = Tuning { workgroup, channel_lanes: 1, items: policy::ITEMS, block: policy::BLOCK };
        let kernel = Kernel::new(name, parts, tuning);
        let item = workgroup * word_values;
        let params = Params {
            channels: part.channels(),
            inner: part.inner(),
            count: part.values_per_channel(),
            len: part.len() as u32,
            workgroups,
            eps,
            item_channels: item / part.inner() % part.channels(),
            item_positions: item % part.inner(),
            ..Params::default()
        };
        let grid = tiling::fold(workgroups, caps)?;
        let mut launch = Launch { kernel, grid, params, places: Vec::new() };
        slice.bind(&mut launch, tensors, shape, caps);
        launches.push(launch);
    }
    Ok(launches)
}

pub(super) fn inference(shape: &Shape, options: &InferenceOptions, caps: &Caps) -> Result<Plan, Error> {
    let channels = shape.channels().into();
    let InferenceOptions { eps, affine, residual, activation } = *options;
    let parts = Parts::new(shape.dtype()).affine(affine).tail(activation, residual);
    let mut arguments = vec![
        tensor(Role::X, Access::Read, shape),
        tensor(Role::Y, Access::Write, shape),
        per_channel(Role::RunningMean, Access::Read, channels),
        per_channel(Role::RunningVar, Access::Read, channels),
    ];
    arguments.extend(argument::affine(affine, channels));
    arguments.extend(argument::residual(residual, shape));
    let tensors = outputs(residual);
    let mut launches = launches(["infer_block_apply", "infer_apply"], shape, &tensors, parts, eps, caps)?;
    set_activation(&mut launches, activation);
    plan("inference", shape, launches, arguments, tensors.len() as u32).checked(caps)
}

/// The tensors of a launch that writes y.
pub(super) fn outputs(residual: Residual) -> Vec<Role> {
    match residual {
        Residual::None => vec![Role::X, Role::Y],
        Residual::Added => vec![Role::X, Role::Y, Role::Residual],
    }
}

/// Gives the launches the numbers of the activation.
pub(super) fn set_activation(launches: &mut [Launch], activation: Activation) {
    for launch in launches {
        [launch.params.low, launch.params.high] = activation.numbers();
    }
}

pub(super) fn normalize(shape: &Shape, affine: Affine, caps: &Caps) -> Result<Plan, Error> {
    let channels = shape.channels().into();
    let mut arguments = vec![
        tensor(Role::X, Access::Read, shape),
        tensor(Role::Y, Access::Write, shape),
        per_channel(Role::Saved, Access::Read, channels),
    ];
    arguments.extend(argument::affine(affine, channels));
    let parts = Parts::new(shape.dtype()).affine(affine);
    let launches =
        launches(["train_block_apply", "train_apply"], shape, &[Role::X, Role::Y], parts, 0.0, caps)?;
    plan("normalize", shape, launches, arguments, 2).checked(caps)
}

pub(super) fn input_gradient(shape: &Shape, affine: Affine, caps: &Caps) -> Result<Plan, Error> {
    let channels = shape.channels().into();
    let mut arguments = vec![
        tensor(Role::X, Access::Read, shape),
        tensor(Role::Dy, Access::Read, shape),
        tensor(Role::Dx, Access::Write, shape),
        per_channel(Role::Saved, Access::Read, channels),
        per_channel(Role::Sums, Access::Read, channels),
    ];
    if affine.has_gamma() {
        arguments.push(per_channel(Role::Gamma, Access::Read, channels));
    }
    let parts = Parts { beta: Default::default(), ..Parts::new(shape.dtype()).affine(affine) };
    let launches = launches(
        ["grad_block_apply", "grad_apply"],
        shape,
        &[Role::X, Role::Dy, Role::Dx],
        parts,
        0.0,
        caps,
    )?;
    plan("input_gradient", shape, launches, arguments, 3).checked(caps)
}

fn plan(
    operation: &'static str,
    shape: &Shape,
    launches: Vec<Launch>,
    arguments: Vec<Argument>,
    passes: u32,
) -> Plan {
    let subject = shape.to_string();
    Plan { operation, subject, strategy: None, why: None, launches, arguments, passes }
}
