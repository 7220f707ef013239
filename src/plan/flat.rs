//! Launches that walk the tensor, each value on its own.

use super::argument::{per_channel, tensor};
use super::block::Blocks;
use super::{Access, Argument, Launch, Plan, argument, policy, tiling};
use crate::caps::Caps;
use crate::error::Error;
use crate::kernel::{Kernel, Params, Parts, Sharing, Tuning};
use crate::options::{Affine, InferenceOptions};
use crate::role::Role;
use crate::tensor::Shape;

/// One launch over the tensor: by blocks of vectors where it has some, else word by word; none over an empty one.
fn by_vectors(
    [vectors, words]: [&'static str; 2],
    shape: &Shape,
    parts: Parts,
    eps: f32,
    caps: &Caps,
) -> Result<Vec<Launch>, Error> {
    let Ok(blocks) = Blocks::new(shape, caps) else {
        return launch(words, shape, parts, eps, caps);
    };
    let Ok(share) = policy::apply(&blocks, shape, caps) else {
        return launch(words, shape, parts, eps, caps);
    };
    let mut launch = blocks.launch(vectors, shape, parts, share, 0, caps)?;
    launch.params.eps = eps;
    Ok(vec![launch])
}

/// One launch over the tensor word by word; none over an empty one.
pub(super) fn launch(
    name: &'static str,
    shape: &Shape,
    parts: Parts,
    eps: f32,
    caps: &Caps,
) -> Result<Vec<Launch>, Error> {
    if shape.is_empty() {
        return Ok(Vec::new());
    }
    let workgroup = policy::widest_workgroup(caps)?;
    let words = shape.size_in_bytes() / 4;
    let workgroups = words.div_ceil(u64::from(workgroup * policy::ITEMS)) as u32;
    let tuning = Tuning { workgroup, channel_lanes: 1, items: policy::ITEMS, block: policy::BLOCK };
    let kernel = Kernel { name, parts, tuning, sharing: Sharing::Separate };
    let word_values = (4 / shape.dtype().size()) as u32;
    let item = workgroup * word_values;
    let params = Params {
        channels: shape.channels(),
        inner: shape.inner(),
        count: shape.values_per_channel(),
        len: shape.len(),
        workgroups,
        eps,
        item_channels: item / shape.inner() % shape.channels(),
        item_positions: item % shape.inner(),
        ..Params::default()
    };
    Ok(vec![Launch { kernel, grid: tiling::fold(workgroups, caps)?, params, places: Vec::new() }])
}

pub(super) fn inference(shape: &Shape, options: &InferenceOptions, caps: &Caps) -> Result<Plan, Error> {
    let channels = shape.channels().into();
    let parts = Parts::new(shape.dtype()).affine(options.affine);
    let mut arguments = vec![
        tensor(Role::X, Access::Read, shape),
        tensor(Role::Y, Access::Write, shape),
        per_channel(Role::RunningMean, Access::Read, channels),
        per_channel(Role::RunningVar, Access::Read, channels),
    ];
    arguments.extend(argument::affine(options.affine, channels));
    let launches = by_vectors(["infer_block_apply", "infer_apply"], shape, parts, options.eps, caps)?;
    plan("inference", shape, launches, arguments, 2).checked(caps)
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
    let launches = by_vectors(["train_block_apply", "train_apply"], shape, parts, 0.0, caps)?;
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
    let launches = by_vectors(["grad_block_apply", "grad_apply"], shape, parts, 0.0, caps)?;
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
    Plan { operation, subject, strategy: None, launches, arguments, passes }
}
