//! Regions of the workspace.

use super::Place;
use crate::caps::Caps;

/// The workspace: sets of partial results, then one set of merged ones.
pub(super) struct Regions {
    pub(super) partial: Place,
    pub(super) merged: Place,
    pub(super) end: u64,
}

impl Regions {
    pub(super) fn new(record: u64, channels: u32, sets: u32, caps: &Caps) -> Self {
        let alignment = u64::from(caps.offset_alignment.max(4));
        let one_set = record * u64::from(channels);
        // A binding cannot be empty, even where there is no set to read.
        let partial = one_set * u64::from(sets.max(1));
        let merged = partial.next_multiple_of(alignment);
        Self {
            partial: Place::Workspace { offset: 0, bytes: partial },
            merged: Place::Workspace { offset: merged, bytes: one_set },
            end: merged + one_set,
        }
    }

    /// The same after so many bytes of something else.
    pub(super) fn after(self, bytes: u64, caps: &Caps) -> Self {
        let by = bytes.next_multiple_of(u64::from(caps.offset_alignment.max(4)));
        let moved = |place| match place {
            Place::Workspace { offset, bytes } => Place::Workspace { offset: offset + by, bytes },
            place => place,
        };
        Self { partial: moved(self.partial), merged: moved(self.merged), end: self.end + by }
    }

    /// Where the partial results end: the workspace of an operation whose merged results go elsewhere.
    pub(super) fn partial_end(&self) -> u64 {
        match self.partial {
            Place::Workspace { offset, bytes } => offset + bytes,
            Place::Argument(_) | Place::Slice { .. } => 0,
        }
    }
}
