//! The decision: which kernels run over which grid, as pure data. No device is needed to make a plan.

mod argument;
mod block;
mod flat;
mod fold;
mod frozen;
mod general;
mod launch;
mod merge;
mod operations;
mod policy;
mod regions;
mod single;
mod slices;
mod split;
mod strategy;
mod tiling;
mod update;
mod upstream;

use crate::caps::Caps;
use crate::error::Error;
use crate::kernel::Reduce;
use crate::role::Role;

pub use argument::{Access, Argument};
pub use launch::{Launch, Place};
pub use policy::MAX_SETS;
pub use strategy::Strategy;

/// The decision how to carry out one operation on one shape: pure, comparable, printable and complete.
///
/// Printed, `train_resident 512 @256` is a dispatch of 512 workgroups of 256 invocations; a pass is the tensor read or
/// written once. `docs/plans.md` has the plans of known layers.
///
/// ```
/// use wgpu_batchnorm::{Caps, Dtype, Plan, Shape, TrainingOptions};
///
/// let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
/// let plan = Plan::training(&shape, &TrainingOptions::default(), &Caps::WEBGPU)?;
/// assert_eq!(
///     plan.to_string(),
///     "training 32x64x784 f32: fused (the tensor fits in the cache), train_fused 64 @256; 3 passes, workspace 4 B"
/// );
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    operation: &'static str,
    subject: String,
    strategy: Option<Strategy>,
    /// Why the policy has picked that strategy; absent where the caller demanded it.
    why: Option<&'static str>,
    launches: Vec<Launch>,
    arguments: Vec<Argument>,
    passes: u32,
}

impl Plan {
    /// The strategy of its reduction, if it has one.
    pub fn strategy(&self) -> Option<Strategy> {
        self.strategy
    }

    /// Why that strategy was picked, in a few words; `None` where the caller demanded it, or there is none.
    ///
    /// ```
    /// use wgpu_batchnorm::{Caps, Dtype, Plan, Shape, TrainingOptions};
    ///
    /// let shape = Shape::new(&[32, 1024, 14, 14], 1, Dtype::F32)?;
    /// let plan = Plan::training(&shape, &TrainingOptions::default(), &Caps::WEBGPU)?;
    /// assert_eq!(plan.why(), Some("a block fits in registers"));
    /// # Ok::<(), wgpu_batchnorm::Error>(())
    /// ```
    pub fn why(&self) -> Option<&'static str> {
        self.why
    }

    /// The dispatches, in order.
    pub fn launches(&self) -> &[Launch] {
        &self.launches
    }

    /// The buffers that the caller gives.
    pub fn arguments(&self) -> &[Argument] {
        &self.arguments
    }

    /// Bytes of scratch memory that the operation needs: never 0 where it takes a workspace, so that a buffer of that
    /// size can be bound; 0 where it takes none.
    pub fn workspace_size(&self) -> u64 {
        let workspace = self.arguments.iter().find(|argument| argument.role == Role::Workspace);
        workspace.map_or(0, |workspace| workspace.bytes)
    }

    /// How often memory of the size of the whole tensor is read or written.
    pub fn passes(&self) -> u32 {
        self.passes
    }

    /// Bytes of tensor that the operation moves between memory and the processor, counting each pass in full.
    pub fn tensor_traffic(&self) -> u64 {
        // The gradient of a frozen layer may not look at x.
        let of = |role| self.arguments.iter().find(|argument| argument.role == role);
        let tensor = of(Role::X).or_else(|| of(Role::Dy)).or_else(|| of(Role::Weight));
        tensor.map_or(0, |tensor| tensor.bytes * u64::from(self.passes))
    }

    /// The operation it is of, as in `training`.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// Refuses a plan of another operation, or one made for a device that can do more.
    pub(crate) fn check_for(&self, operation: &'static str, caps: &Caps) -> Result<(), Error> {
        if self.operation != operation {
            return Err(Error::Plan { got: self.operation, needs: operation });
        }
        self.check_limits(caps)?;
        let alignment = u64::from(caps.offset_alignment.max(1));
        for launch in &self.launches {
            if launch.kernel.parts.reduce == Reduce::Subgroups && !caps.subgroups {
                return Err(Error::Feature { argument: launch.kernel.name, needs: "SUBGROUP" });
            }
            let needs = u64::from(launch.grid[0].max(launch.grid[1]));
            let (limit, got) = ("max_compute_workgroups_per_dimension", u64::from(caps.max_workgroups));
            if needs > got {
                return Err(Error::Limit { argument: launch.kernel.name, limit, got, needs });
            }
            for (role, place) in &launch.places {
                match place {
                    Place::Workspace { offset, .. } | Place::Slice { offset, .. }
                        if offset % alignment != 0 =>
                    {
                        return Err(Error::Misaligned {
                            argument: role.name(),
                            got: *offset,
                            needs: alignment,
                        });
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Whether the weight of a batch in the running statistics is counted on the GPU.
    pub(crate) fn is_cumulative(&self) -> bool {
        self.launches.iter().any(|launch| launch.kernel.parts.following.cumulative)
    }

    pub(crate) fn set_momentum(&mut self, momentum: f32) {
        for launch in &mut self.launches {
            launch.params.momentum = momentum;
        }
    }

    fn checked(self, caps: &Caps) -> Result<Self, Error> {
        self.check_limits(caps)?;
        Ok(self)
    }

    /// Whether some launch binds all of a caller's buffer.
    fn bound_whole(&self, role: Role) -> bool {
        let binds = |launch: &Launch| {
            let bindings = launch.kernel.bindings();
            let mut roles = bindings.iter().filter(|binding| binding.storage()).map(|binding| binding.role);
            roles.any(|bound| launch.place(bound) == Place::Argument(role))
        };
        self.launches.iter().any(binds)
    }

    /// Refuses what the device's limits do not allow.
    fn check_limits(&self, caps: &Caps) -> Result<(), Error> {
        let regions = self.launches.iter().flat_map(|launch| {
            launch.places.iter().filter_map(|(role, place)| match place {
                Place::Workspace { bytes, .. } | Place::Slice { bytes, .. } => Some((role.name(), *bytes)),
                Place::Argument(_) => None,
            })
        });
        let large = |bytes: u64| bytes > caps.max_binding_size;
        let arguments = self.arguments.iter().filter(|a| large(a.bytes) && self.bound_whole(a.role));
        for (argument, needs) in regions.chain(arguments.map(|a| (a.role.name(), a.bytes))) {
            if large(needs) {
                let (limit, got) = ("max_storage_buffer_binding_size", caps.max_binding_size);
                return Err(Error::Limit { argument, limit, got, needs });
            }
        }
        Ok(())
    }
}

/// The plan in one line.
impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: ", self.operation, self.subject)?;
        if self.launches.is_empty() {
            return f.write_str("nothing to do");
        }
        if let Some(strategy) = self.strategy {
            // The sets of the launch that merges are those of all slices.
            let sets = self.launches.iter().map(|launch| launch.params.sets).max().unwrap_or(0);
            write!(f, "{strategy}")?;
            if sets > 1 {
                write!(f, " in {sets}")?;
            }
            if let Some(why) = self.why {
                write!(f, " ({why})")?;
            }
            f.write_str(", ")?;
        }
        for (i, launches) in self.launches.chunk_by(|a, b| a.kernel.name == b.kernel.name).enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            let kernel = launches[0].kernel;
            let workgroups: u64 = launches.iter().map(|launch| u64::from(launch.params.workgroups)).sum();
            write!(f, "{separator}{} {workgroups} @{}", kernel.name, kernel.tuning.workgroup)?;
            if launches.len() > 1 {
                write!(f, " over {} slices", launches.len())?;
            }
        }
        write!(f, "; {} passes, workspace {} B", self.passes, self.workspace_size())
    }
}
