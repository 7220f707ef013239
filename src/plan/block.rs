//! Blocks: how a tensor falls into whole vectors, and launches over them. Arithmetic without choices.

use super::{Launch, Strategy, policy, tiling};
use crate::caps::Caps;
use crate::error::Error;
use crate::kernel::{Channels, Kernel, Params, Parts, Presence, Reduce, Tuning};
use crate::tensor::{Dtype, Shape};

/// Bytes of a vector.
const VECTOR: u64 = 16;

/// Why a shape has no blocks.
pub(super) type Reason = String;

/// A tensor in blocks: `channel_lanes` neighbouring channels whose values in a row are whole vectors.
#[derive(Clone, Debug)]
pub(super) struct Blocks {
    dtype: Dtype,
    /// Channels in a block, a power of two.
    pub(super) channel_lanes: u32,
    /// Vectors of a block in one row.
    pub(super) run: u32,
    /// Vectors in a row.
    row: u32,
    /// Vectors of a block.
    pub(super) vectors: u32,
    /// Blocks in a row.
    pub(super) blocks: u32,
}

/// How blocks are shared out over workgroups.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) workgroup: u32,
    /// Vectors that an invocation has under way together.
    pub(super) items: u32,
    /// Vectors of a block that one workgroup takes.
    pub(super) chunk: u32,
}

impl Blocks {
    pub(super) fn new(shape: &Shape, caps: &Caps) -> Result<Self, Reason> {
        if shape.is_empty() {
            return Err("the batch is empty".into());
        }
        if u64::from(caps.offset_alignment) % VECTOR != 0 {
            return Err(format!("buffers may begin at multiples of {}, not of 16", caps.offset_alignment));
        }
        let lanes = (VECTOR / shape.dtype().size()) as u32;
        let (channels, inner) = (shape.channels(), shape.inner());
        let (channel_lanes, run, row) = if inner == 1 {
            if channels % lanes != 0 {
                return Err(format!("{channels} contiguous channels are no multiple of {lanes}"));
            }
            let row = channels / lanes;
            let run = policy::run(row);
            (run * lanes, run, row)
        } else {
            // As few channels as have whole vectors in a row: a power of two, since `lanes` is one.
            let channel_lanes = lanes >> inner.trailing_zeros().min(lanes.trailing_zeros());
            if channels % channel_lanes != 0 {
                return Err(format!(
                    "{channels} channels are no multiple of the {channel_lanes} whose {inner} values are whole vectors"
                ));
            }
            let run = (u64::from(channel_lanes) * u64::from(inner) / u64::from(lanes)) as u32;
            (channel_lanes, run, (channels / channel_lanes).saturating_mul(run))
        };
        // What is too large for u32 is so for one binding, and comes in slices that have blocks of their own.
        let (vectors, blocks) = (shape.outer().saturating_mul(run), row.div_ceil(run));
        Ok(Self { dtype: shape.dtype(), channel_lanes, run, row, vectors, blocks })
    }

    /// Values in a vector.
    pub(super) fn lanes(&self) -> u32 {
        (VECTOR / self.dtype.size()) as u32
    }

    /// Whether a block is one channel.
    pub(super) fn single(&self) -> bool {
        self.channel_lanes == 1
    }

    /// Invocations of a workgroup that take vectors: all of them, or whole runs where lanes must stay with their
    /// channel; 0 where a run is wider than the workgroup.
    pub(super) fn active(&self, workgroup: u32) -> u32 {
        if self.single() { workgroup } else { workgroup / self.run * self.run }
    }

    /// Whether workgroups of this size can take blocks: a run and a channel for each invocation, and the memory.
    pub(super) fn fits(&self, workgroup: u32, caps: &Caps) -> bool {
        let kernel = self.kernel("", Parts::new(self.dtype), workgroup, 1);
        self.active(workgroup) > 0
            && self.channel_lanes <= workgroup
            && kernel.workgroup_storage() <= caps.max_workgroup_storage
    }

    fn kernel(&self, name: &'static str, parts: Parts, workgroup: u32, items: u32) -> Kernel {
        let channels = if self.single() { Channels::One } else { Channels::Many };
        let tuning = Tuning { workgroup, channel_lanes: self.channel_lanes, items, block: policy::BLOCK };
        Kernel::new(name, Parts { channels, ..parts }, tuning)
    }

    /// The parts of a kernel with sums over channels.
    pub(super) fn summing(&self, parts: Parts, caps: &Caps) -> Parts {
        // The invocations of one subgroup may be of several channels where a block has several.
        let sums = parts.sums == Presence::Given && self.single();
        let reduce = if caps.subgroups && sums { Reduce::Subgroups } else { Reduce::Tree };
        Parts { reduce, ..parts }
    }

    /// Launches over parts of `chunk` vectors of every block; `sets` partial results for each channel.
    pub(super) fn launch(
        &self,
        name: &'static str,
        shape: &Shape,
        parts: Parts,
        share: Share,
        sets: u32,
        caps: &Caps,
    ) -> Result<Launch, Error> {
        let Share { workgroup, items, chunk } = share;
        let active = self.active(workgroup);
        let workgroups = self.blocks * self.vectors.div_ceil(chunk);
        let kernel = self.kernel(name, parts, workgroup, items);
        let params = Params {
            channels: shape.channels(),
            inner: shape.inner(),
            count: shape.values_per_channel(),
            len: shape.len() as u32,
            chunk,
            sets,
            workgroups,
            run: self.run,
            row: self.row,
            vectors: self.vectors,
            blocks: self.blocks,
            stride: active,
            // Beyond the tensor it may wrap: the number of the vector says that it is not there.
            step: (active / self.run).wrapping_mul(self.row).wrapping_add(active % self.run),
            step_positions: active % self.run,
            ..Params::default()
        };
        Ok(Launch { kernel, grid: tiling::fold(workgroups, caps)?, params, places: Vec::new() })
    }

    /// Refuses launches that bind more buffers than the device allows: the general strategy shares them out over more.
    pub(super) fn check(&self, launches: &[Launch], strategy: Strategy, caps: &Caps) -> Result<(), Error> {
        for Launch { kernel, .. } in launches {
            let needs = kernel.storage_buffers();
            if needs > caps.max_storage_buffers {
                let (name, got) = (kernel.name, caps.max_storage_buffers);
                let reason = format!("{name} binds {needs} buffers, the device allows {got}");
                return Err(Error::Strategy { got: strategy.name(), reason });
            }
        }
        Ok(())
    }

    /// Parts of each block.
    pub(super) fn parts(&self, share: Share) -> u32 {
        self.vectors.div_ceil(share.chunk)
    }
}
