//! Launches that update the running statistics from saved ones.

use super::argument::{self, per_channel};
use super::{Access, Launch, Plan, policy, tiling};
use crate::caps::Caps;
use crate::error::Error;
use crate::kernel::{Kernel, Params, Parts, Tuning};
use crate::options::TrainingOptions;
use crate::role::Role;
use crate::running::{RunningStatistics, RunningTarget, Update};
use crate::tensor::Shape;

/// The launch that follows a training forward pass, where none of its launches updates the running statistics.
pub(super) fn of_training(
    shape: &Shape,
    options: &TrainingOptions,
    launches: &[Launch],
    caps: &Caps,
) -> Result<Option<Launch>, Error> {
    let binds = |launch: &Launch| launch.kernel.bindings().iter().any(|b| b.role == Role::RunningMean);
    let updated = launches.iter().any(binds);
    match options.running {
        Some(running) if !updated && acts(shape, running) => launch(shape, running, caps).map(Some),
        _ => Ok(None),
    }
}

/// Whether there is something to do: an empty batch has no statistics, but fresh buffers take over the old ones.
fn acts(shape: &Shape, running: RunningStatistics) -> bool {
    !shape.is_empty() || running.target == RunningTarget::Fresh
}

/// The update as an operation of its own.
pub(super) fn running_update(shape: &Shape, running: RunningStatistics, caps: &Caps) -> Result<Plan, Error> {
    let channels = shape.channels().into();
    let mut arguments = vec![per_channel(Role::Saved, Access::Read, channels)];
    arguments.extend(argument::running(running, channels));
    let launches = if acts(shape, running) { vec![launch(shape, running, caps)?] } else { Vec::new() };
    let (operation, subject) = ("running_update", shape.to_string());
    Plan { operation, subject, strategy: None, why: None, launches, arguments, passes: 0 }.checked(caps)
}

/// Channels that an invocation looks at where one workgroup looks at all: two loops of 4096 are below what any driver ends.
const MOST_CHANNELS: u32 = 4096;

fn launch(shape: &Shape, running: RunningStatistics, caps: &Caps) -> Result<Launch, Error> {
    let (workgroup, channels) = (policy::widest_workgroup(caps)?, shape.channels());
    if running.update == Update::IfLayerFinite && channels.div_ceil(workgroup) > MOST_CHANNELS {
        let reason = "these channels are more than one workgroup may look at (1 048 576 of 256 invocations), which \
                      Update::IfLayerFinite needs; Update::IfChannelFinite takes any number";
        return Err(Error::Running { reason });
    }
    // Workgroups do not talk to each other: where all channels have to agree there is one.
    let workgroups = match running.update {
        Update::IfLayerFinite => 1,
        Update::Always | Update::IfChannelFinite => channels.div_ceil(workgroup),
    };
    let parts = Parts { following: running.into(), ..Parts::default() };
    let tuning = Tuning { workgroup, channel_lanes: 1, items: 1, block: policy::BLOCK };
    let params = Params {
        channels,
        count: shape.values_per_channel(),
        workgroups,
        momentum: running.momentum.weight().unwrap_or_default(),
        correction: running.correction(),
        ..Params::default()
    };
    let (kernel, grid) = (Kernel::new("running_update", parts, tuning), tiling::fold(workgroups, caps)?);
    Ok(Launch { kernel, grid, params, places: Vec::new() })
}
