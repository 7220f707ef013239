//! Every choice that changes speed and never results, each with its reason.

use super::Strategy;
use super::block::{Blocks, Share};
use crate::caps::Caps;
use crate::error::Error;
use crate::tensor::{Dtype, Shape};

/// Most sets that one merge takes: 1024 for each of 64 invocations.
///
/// ```
/// use wgpu_batchnorm::{Caps, Error, Gathered, MAX_SETS, Plan};
///
/// let parts = Gathered { sets: MAX_SETS + 1, channels: 64 };
/// let error = Plan::merge_moments(parts, 1e-5, None, &Caps::WEBGPU).unwrap_err();
/// assert_eq!(error, Error::Sets { got: MAX_SETS + 1, max: MAX_SETS });
/// ```
pub const MAX_SETS: u32 = 1 << 16;

/// Workgroups that keep a large GPU busy: 1.9 waves of 8 per multiprocessor on an H100, and harmless elsewhere.
const BUSY: u32 = 2048;

/// Values per invocation below which a workgroup is mostly its own reduction tree.
const FEWEST_VALUES: u32 = 8;

/// Values per invocation at most. Two passes of it stay far below llvmpipe's 65 535 iterations and any watchdog.
const MOST_VALUES: u32 = 4096;

/// Sets per invocation of a merge at most, for the same reason. More takes a device with wider workgroups.
const MOST_SETS: u32 = 8192;

/// With less to do than this, a workgroup of 64 beats one of 256: 0.58 to 0.66 of its time on lavapipe for planes of
/// 7x7 and 14x14.
const SMALL_WORKGROUP_BELOW: u32 = 256 * FEWEST_VALUES;

/// Channels side by side where they are contiguous: 32 f32 make one cache line of 128 bytes.
const CHANNEL_LANES: u32 = 32;

/// Terms summed before they join a longer sum: keeps rounding at about 32 + 4096 / 32 steps, not 4096.
pub(super) const BLOCK: u32 = 32;

/// Words per invocation of a flat kernel, so that several loads are in flight.
pub(super) const ITEMS: u32 = 4;

/// Values in a word.
pub(super) fn word_values(shape: &Shape) -> u32 {
    (4 / shape.dtype().size()) as u32
}

/// The widest workgroup used: WebGPU's default limit, where the device has it.
pub(super) fn widest_workgroup(caps: &Caps) -> Result<u32, Error> {
    match caps.max_invocations.min(256).checked_ilog2() {
        Some(log) => Ok(1 << log),
        None => Err(Error::Limit {
            argument: "kernel",
            limit: "max_compute_invocations_per_workgroup",
            got: caps.max_invocations.into(),
            needs: 1,
        }),
    }
}

/// How a reduction over each channel is shared out.
pub(super) struct Reduction {
    pub(super) workgroup: u32,
    pub(super) channel_lanes: u32,
    /// Values per channel and workgroup.
    pub(super) chunk: u32,
    /// Chunks per channel.
    pub(super) sets: u32,
}

/// Splits channels until the device is busy, but not below a useful piece of work for each workgroup, nor into more
/// sets than the merge should take.
pub(super) fn reduction(shape: &Shape, most_sets: u32, caps: &Caps) -> Result<Reduction, Error> {
    let widest = widest_workgroup(caps)?;
    let (channels, count) = (shape.channels(), shape.values_per_channel());
    let channel_lanes = match shape.inner() {
        1 => channels.next_power_of_two().min(CHANNEL_LANES).min(widest),
        _ => 1,
    };
    let small = u64::from(count) * u64::from(channel_lanes) < u64::from(SMALL_WORKGROUP_BELOW);
    let workgroup = if small { widest.min(64).max(channel_lanes) } else { widest };
    let value_lanes = workgroup / channel_lanes;
    let most = count.div_ceil(value_lanes * FEWEST_VALUES);
    let least = count.div_ceil(value_lanes * MOST_VALUES);
    let wanted = BUSY.div_ceil(channels.div_ceil(channel_lanes));
    let sets = wanted.min(most).min(most_sets).max(least).max(1);
    let chunk = count.div_ceil(sets).next_multiple_of(value_lanes);
    Ok(Reduction { workgroup, channel_lanes, chunk, sets: count.div_ceil(chunk.max(1)) })
}

/// The workgroup of a merge, and the channels in it: as many invocations for each channel as there are sets.
pub(super) fn merge(sets: u32, caps: &Caps) -> Result<(u32, u32), Error> {
    let workgroup = widest_workgroup(caps)?.min(64);
    // Workgroups are powers of two: a device with 5 to 7 invocations has one of 4.
    let needs = sets.div_ceil(MOST_SETS).next_power_of_two();
    if workgroup < needs {
        let (limit, got) = ("max_compute_invocations_per_workgroup", caps.max_invocations.into());
        return Err(Error::Limit { argument: "sets", limit, got, needs: needs.into() });
    }
    Ok((workgroup, workgroup / sets.max(1).next_power_of_two().min(workgroup)))
}

/// Vectors of contiguous channels side by side: 32 are 512 bytes of a row, and fewer where less would be wasted.
pub(super) fn run(row: u32) -> u32 {
    [32, 16, 8, 4, 2].into_iter().find(|run| row.next_multiple_of(*run) - row <= row / 8).unwrap_or(1)
}

/// Vectors that an invocation has under way together in a sum: 128 bytes of f32. 256 invocations cover the latency of
/// memory then, and a group of so many is long enough for its own mean.
fn summed_together(shape: &Shape) -> u32 {
    match shape.dtype() {
        Dtype::F32 => 8,
        Dtype::F16 => 4,
    }
}

/// Vectors that an invocation has under way together where each value is on its own.
const MAPPED_TOGETHER: u32 = 4;

/// Vectors that an invocation of a resident kernel holds at most, of all its tensors: 64 registers.
const HELD: u32 = 16;

/// Records that each workgroup of the launch that writes the tensor merges by itself: 8 KiB. More of them would be read
/// too often.
const MERGED_IN_PLACE: u32 = 512;

/// Invocations of a CPU's workgroup where a block is one channel: those of one vector of the processor. It takes them from
/// the kernel's begin to its end before the next ones, or from barrier to barrier; alone in their workgroup they read
/// memory as it lies, with others in steps of a page. Measured on 2 cores: 0.4 to 0.8 of the time of 256.
const ALONE: u32 = 8;

/// Workgroups that keep a CPU busy: some for each of its cores, so that none waits long for the last.
const BUSY_CPU: u32 = 64;

/// Sizes of workgroups that blocks are tried with, from the smallest.
fn workgroups(blocks: &Blocks, caps: &Caps) -> impl DoubleEndedIterator<Item = u32> {
    [8, 16, 32, 64, 128, 256, 512, 1024]
        .into_iter()
        .filter(|&workgroup| workgroup <= caps.max_invocations && blocks.fits(workgroup, caps))
}

/// The widest workgroup up to 256 that has so many vectors for each invocation; else the narrowest from 64.
fn workgroup(blocks: &Blocks, vectors: u32, caps: &Caps) -> Result<u32, String> {
    let widths = || workgroups(blocks, caps).filter(|&workgroup| workgroup <= 256);
    let alone = widths().find(|&workgroup| caps.cpu && blocks.single() && workgroup == ALONE);
    alone
        .or_else(|| {
            widths()
                .rev()
                .find(|&workgroup| workgroup >= 64 && blocks.active(workgroup) * vectors <= blocks.vectors)
        })
        .or_else(|| widths().find(|&workgroup| workgroup >= 64))
        .or_else(|| widths().next_back())
        .or_else(|| workgroups(blocks, caps).next())
        .ok_or_else(|| format!("a block is {} vectors side by side, more than a workgroup takes", blocks.run))
}

/// A block of each of so many tensors in registers.
pub(super) fn resident(blocks: &Blocks, tensors: u32, caps: &Caps) -> Result<Share, String> {
    let held = HELD / tensors;
    let items = |workgroup: u32| blocks.vectors.div_ceil(blocks.active(workgroup));
    let least = if caps.cpu && blocks.single() { ALONE } else { 64 };
    let width = |most: u32| workgroups(blocks, caps).find(|&w| w >= least && items(w) <= most);
    // Half the registers leave room for twice the workgroups; a CPU has one at a time, and the fewer invocations the
    // fewer to wait for.
    let half = if caps.cpu { held } else { held / 2 };
    let Some(workgroup) = width(half).or_else(|| width(held)) else {
        return Err(format!(
            "a block is {} vectors, too many for {held} in the registers of each invocation",
            blocks.vectors
        ));
    };
    Ok(Share { workgroup, items: items(workgroup), chunk: blocks.vectors })
}

/// One workgroup for each block: a wide one, which has more under way, but on a CPU.
pub(super) fn fused(blocks: &Blocks, shape: &Shape, caps: &Caps) -> Result<Share, String> {
    let items = summed_together(shape);
    let widest = match (caps.cpu, blocks.single()) {
        (true, true) => 0,
        (true, false) => 128,
        (false, _) => 1024,
    };
    let enough = |w: &u32| (64..=widest).contains(w) && blocks.active(*w) * items <= blocks.vectors;
    let workgroup = match workgroups(blocks, caps).rev().find(enough) {
        Some(workgroup) => workgroup,
        None => workgroup(blocks, items, caps)?,
    };
    if blocks.vectors.div_ceil(blocks.active(workgroup)) > MOST_VALUES {
        return Err(format!("a block is {} vectors, too many for one workgroup", blocks.vectors));
    }
    Ok(Share { workgroup, items, chunk: blocks.vectors })
}

/// Blocks split over workgroups until the device is busy, each with a group of vectors for each invocation at least, and
/// not into more sets than the merge should take.
pub(super) fn split(blocks: &Blocks, shape: &Shape, most_sets: u32, caps: &Caps) -> Result<Share, String> {
    let items = summed_together(shape);
    let workgroup = workgroup(blocks, items, caps)?;
    let group = blocks.active(workgroup) * items;
    let groups = blocks.vectors.div_ceil(group);
    let busy = if caps.cpu { BUSY_CPU } else { BUSY };
    let least = groups.div_ceil(MOST_VALUES / items);
    let parts = busy.div_ceil(blocks.blocks).min(groups).min(most_sets).max(least);
    Ok(Share { workgroup, items, chunk: groups.div_ceil(parts) * group })
}

/// Parts of blocks where each value is on its own.
pub(super) fn apply(blocks: &Blocks, caps: &Caps) -> Result<Share, String> {
    let items = MAPPED_TOGETHER;
    // A CPU takes some groups in a row: what a workgroup begins with is not free there.
    let groups = if caps.cpu { 4 } else { 1 };
    let workgroup = workgroup(blocks, items * groups, caps)?;
    let groups = if workgroup == ALONE { groups * 256 / ALONE } else { groups };
    Ok(Share { workgroup, items, chunk: blocks.active(workgroup) * items * groups })
}

/// Whether the launch that writes the tensor merges the partial results itself.
pub(super) fn merges_in_place(blocks: &Blocks, sets: u32, caps: &Caps) -> bool {
    sets * blocks.channel_lanes <= MERGED_IN_PLACE && !caps.cpu
}

/// The strategy of a training forward pass, and why.
pub(super) fn training(shape: &Shape, caps: &Caps) -> Choice {
    choose(shape, 1, caps)
}

/// The strategy of a backward pass that writes dx, and why.
pub(super) fn backward(shape: &Shape, caps: &Caps) -> Choice {
    choose(shape, 2, caps)
}

/// A strategy and the reason for it.
pub(super) type Choice = (Strategy, &'static str);

/// Blocks below which a GPU would have multiprocessors without one.
const FEW_BLOCKS: u32 = 128;

/// Bytes of the tensors read that a GPU's cache holds between two readings: half of the H100's 50 MB is at hand.
const CACHED: u64 = 16 << 20;

/// Blocks below which a CPU would have cores without one: on 4 cores fused took half the time of split with 3.
const FEW_BLOCKS_CPU: u32 = 3;

/// Bytes of a block that a CPU's caches hold between two readings, by the number of tensors read. Measured on 4 cores with
/// 1 MiB each and 32 MiB together: training took 0.7 to 1.0 of the time of split at 0.4 MiB, 1.3 to 1.5 at 0.8 MiB;
/// backward 0.6 to 0.8 from 0.8 to 3.2 MiB, 1.1 at 4 MiB.
const CACHED_BY_CPU: [u64; 2] = [1 << 19, (4 << 20) - 1];

/// Widest workgroup of a resident kernel that is as fast on a CPU as a fused one, by the number of tensors read, for blocks of one
/// channel: what waits at a barrier has to be kept in memory. Measured on 2 cores, times by those of fused: training 0.9 at 16,
/// 1.3 to 1.7 from 32 on; backward 0.7 to 0.9 at 32, 1.2 to 1.5 from 64 on. Blocks of several channels wait more often: up to
/// 1.5 above 128.
const HELD_BY_CPU: [u32; 2] = [16, 32];

fn choose(shape: &Shape, tensors: u32, caps: &Caps) -> Choice {
    let Ok(blocks) = Blocks::new(shape, caps) else {
        return (Strategy::General, "its channels make no whole vectors of 16 bytes");
    };
    let resident = resident(&blocks, tensors, caps);
    let fused = fused(&blocks, shape, caps);
    if caps.cpu {
        on_a_cpu(&blocks, tensors, resident, &fused)
    } else {
        on_a_gpu(shape, &blocks, tensors, &resident, &fused)
    }
}

fn on_a_gpu(
    shape: &Shape,
    blocks: &Blocks,
    tensors: u32,
    resident: &Result<Share, String>,
    fused: &Result<Share, String>,
) -> Choice {
    if resident.is_ok() && blocks.blocks >= FEW_BLOCKS {
        (Strategy::Resident, "a block fits in registers")
    } else if blocks.blocks < FEW_BLOCKS / 2 {
        (Strategy::Split, "too few blocks for one workgroup each")
    } else if fused.is_ok() && u64::from(tensors) * shape.size_in_bytes() <= CACHED {
        (Strategy::Fused, "the tensor fits in the cache")
    } else {
        (Strategy::Split, "blocks too large for registers, and the tensor for the cache")
    }
}

fn on_a_cpu(
    blocks: &Blocks,
    tensors: u32,
    resident: Result<Share, String>,
    fused: &Result<Share, String>,
) -> Choice {
    let bytes = u64::from(tensors) * u64::from(blocks.vectors) * 16;
    let cached = bytes <= CACHED_BY_CPU[usize::from(tensors > 1)];
    let narrow = if blocks.single() { HELD_BY_CPU[usize::from(tensors > 1)] } else { 128 };
    if resident.is_ok_and(|share| share.workgroup <= narrow) {
        (Strategy::Resident, "a block fits in registers")
    } else if blocks.blocks < FEW_BLOCKS_CPU {
        (Strategy::Split, "too few blocks for one workgroup each")
    } else if fused.is_ok() && cached {
        (Strategy::Fused, "a block fits in the cache")
    } else {
        (Strategy::Split, "blocks too large for registers and the cache")
    }
}
