//! One dispatch of a plan.

use crate::kernel::{Kernel, Params};
use crate::role::Role;

/// Where the buffer of a kernel's binding comes from.
///
/// ```
/// use wgpu_batchnorm::{Caps, Dtype, Place, Plan, Role, Shape, Strategy, TrainingOptions};
///
/// let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
/// let plan = Plan::training_by(Strategy::Split, &shape, &TrainingOptions::default(), &Caps::WEBGPU)?;
/// let moments = &plan.launches()[0];
/// assert_eq!(moments.place(Role::X), Place::Argument(Role::X));
/// assert_eq!(moments.place(Role::PartialMoments), Place::Workspace { offset: 0, bytes: 4 * 64 * 16 });
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is the caller's buffer for that role.
    Argument(Role),
    /// It is part of the caller's buffer for that role: a slice of a tensor that is too large for one binding.
    Slice {
        /// The caller's buffer.
        role: Role,
        /// First byte, a multiple of the device's alignment.
        offset: u64,
        /// Bytes.
        bytes: u64,
    },
    /// It is part of the workspace.
    Workspace {
        /// First byte, a multiple of the device's alignment.
        offset: u64,
        /// Bytes.
        bytes: u64,
    },
}

/// One dispatch. With [`Kernel::wgsl`] and [`Kernel::bindings`] it is all that a host needs that compiles and
/// dispatches by itself.
///
/// ```
/// use wgpu_batchnorm::{Caps, Dtype, InferenceOptions, Plan, Shape};
///
/// let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
/// let plan = Plan::inference(&shape, &InferenceOptions::default(), &Caps::WEBGPU)?;
/// let launch = &plan.launches()[0];
/// assert_eq!((launch.kernel.name(), launch.grid), ("infer_block_apply", [448, 1]));
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// What runs.
    pub kernel: Kernel,
    /// Over how many workgroups; the third dimension is 1.
    pub grid: [u32; 2],
    /// With which numbers.
    pub params: Params,
    /// Bindings whose buffer is not simply the caller's one of the same role.
    pub places: Vec<(Role, Place)>,
}

impl Launch {
    /// The caller's buffer of another role is what its kernel knows by this one.
    pub(super) fn binds(&mut self, bound: Role, callers: Role) {
        match self.places.iter_mut().find(|(role, _)| *role == bound) {
            Some((_, Place::Slice { role, .. })) => *role = callers,
            _ => self.places.push((bound, Place::Argument(callers))),
        }
    }

    /// Where the buffer for a binding comes from.
    pub fn place(&self, role: Role) -> Place {
        let found = self.places.iter().find(|(placed, _)| *placed == role);
        found.map_or(Place::Argument(role), |(_, place)| *place)
    }
}
