//! Launches that merge several sets of per-channel results.

use super::argument::per_channel;
use super::{Access, Launch, MAX_SETS, Place, Plan, policy, tiling};
use crate::caps::Caps;
use crate::error::Error;
use crate::kernel::{Kernel, Params, Parts, Presence, Tuning};
use crate::options::Gradients;
use crate::role::Role;
use crate::running::{RunningStatistics, RunningTarget};
use crate::statistics::Gathered;

/// One merging launch over all channels.
pub(super) fn launch(
    name: &'static str,
    channels: u32,
    sets: u32,
    parts: Parts,
    places: Vec<(Role, Place)>,
    caps: &Caps,
) -> Result<Launch, Error> {
    let (workgroup, channel_lanes) = policy::merge(sets, caps)?;
    let workgroups = channels.div_ceil(channel_lanes);
    let tuning = Tuning { workgroup, channel_lanes, items: 1, block: policy::BLOCK };
    let kernel = Kernel::new(name, parts, tuning);
    let params = Params { channels, sets, workgroups, ..Params::default() };
    Ok(Launch { kernel, grid: tiling::fold(workgroups, caps)?, params, places })
}

/// Merges moments, saves the statistics and updates the running ones.
pub(super) fn train_launch(
    channels: u32,
    sets: u32,
    eps: f32,
    running: Option<RunningStatistics>,
    places: Vec<(Role, Place)>,
    caps: &Caps,
) -> Result<Launch, Error> {
    let parts = with_running("train_merge", Parts::default(), running, caps);
    let mut launch = launch("train_merge", channels, sets, parts, places, caps)?;
    set_running(&mut launch.params, eps, running);
    Ok(launch)
}

/// The parts of the launch that saves the statistics. It updates the running ones too where nothing is counted; where they
/// go to fresh buffers, if the device lets it bind them.
pub(super) fn with_running(
    name: &'static str,
    parts: Parts,
    running: Option<RunningStatistics>,
    caps: &Caps,
) -> Parts {
    let parts = Parts { running: Presence::Absent, ..parts };
    let Some(running) = running.filter(|running| !running.needs_counters()) else { return parts };
    let joined = Parts { running: Presence::Given, following: running.into(), ..parts };
    let fits = || Kernel::storage_buffers_of(name, joined) <= caps.max_storage_buffers;
    if running.target == RunningTarget::InPlace || fits() { joined } else { parts }
}

/// The numbers of a launch that saves the statistics.
pub(super) fn set_running(params: &mut Params, eps: f32, running: Option<RunningStatistics>) {
    params.eps = eps;
    if let Some(running) = running {
        params.momentum = running.momentum.weight().unwrap_or_default();
        params.correction = running.correction();
    }
}

/// Adds gradient sums up and writes the gradients of the parameters.
pub(super) fn grad_launch(
    channels: u32,
    sets: u32,
    gradients: Gradients,
    places: Vec<(Role, Place)>,
    caps: &Caps,
) -> Result<Launch, Error> {
    let (dgamma, dbeta) = (Presence::of(gradients.dgamma), Presence::of(gradients.dbeta));
    launch("grad_merge", channels, sets, Parts { dgamma, dbeta, ..Parts::default() }, places, caps)
}

/// The stage that turns the moments of several parts of a batch into saved statistics.
pub(super) fn moments(
    gathered: Gathered,
    eps: f32,
    running: Option<RunningStatistics>,
    caps: &Caps,
) -> Result<Plan, Error> {
    let (elements, Gathered { sets, channels }) = (check(gathered)?, gathered);
    if running.is_some_and(|running| !running.joins()) {
        let reason = "a merge knows no counters and no fresh buffers, use RunningUpdate after it";
        return Err(Error::Running { reason });
    }
    let mut arguments = vec![
        per_channel(Role::PartialMoments, Access::Read, elements),
        per_channel(Role::Saved, Access::Write, channels.into()),
    ];
    if running.is_some() {
        arguments.push(per_channel(Role::RunningMean, Access::ReadWrite, channels.into()));
        arguments.push(per_channel(Role::RunningVar, Access::ReadWrite, channels.into()));
    }
    let launches = vec![train_launch(channels, sets, eps, running, Vec::new(), caps)?];
    let subject = format!("{sets} sets of {channels} channels");
    let operation = "merge_moments";
    Plan { operation, subject, strategy: None, why: None, launches, arguments, passes: 0 }.checked(caps)
}

/// The stage that adds up the gradient sums of several parts of a batch.
pub(super) fn gradient_sums(gathered: Gathered, gradients: Gradients, caps: &Caps) -> Result<Plan, Error> {
    let (elements, Gathered { sets, channels }) = (check(gathered)?, gathered);
    let mut arguments = vec![
        per_channel(Role::PartialSums, Access::Read, elements),
        per_channel(Role::Saved, Access::Read, channels.into()),
        per_channel(Role::Sums, Access::Write, channels.into()),
    ];
    if gradients.dgamma {
        arguments.push(per_channel(Role::Dgamma, Access::Write, channels.into()));
    }
    if gradients.dbeta {
        arguments.push(per_channel(Role::Dbeta, Access::Write, channels.into()));
    }
    let launches = vec![grad_launch(channels, sets, gradients, Vec::new(), caps)?];
    let subject = format!("{sets} sets of {channels} channels");
    let operation = "merge_gradient_sums";
    Plan { operation, subject, strategy: None, why: None, launches, arguments, passes: 0 }.checked(caps)
}

fn check(gathered: Gathered) -> Result<u64, Error> {
    let Gathered { sets, channels } = gathered;
    if channels == 0 {
        return Err(Error::NoChannels);
    }
    if sets == 0 || sets > MAX_SETS {
        return Err(Error::Sets { got: sets, max: MAX_SETS });
    }
    Ok(gathered.records())
}
