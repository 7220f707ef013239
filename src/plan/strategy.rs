//! Ways of sharing the work of a reduction out.

/// How the work of a reduction is shared out.
///
/// All but `General` read vectors of 16 bytes, and refuse a shape whose channels cannot be put together to whole
/// vectors. They work on blocks: as few neighbouring channels as make whole vectors, or, where channels are
/// contiguous, up to 32 vectors of them.
///
/// ```
/// use wgpu_batchnorm::{Caps, Dtype, Error, Plan, Shape, Strategy, TrainingOptions};
///
/// let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
/// for strategy in Strategy::ALL {
///     match Plan::training_by(strategy, &shape, &TrainingOptions::default(), &Caps::WEBGPU) {
///         Ok(plan) => assert_eq!(plan.strategy(), Some(strategy)),
///         Err(Error::Strategy { reason, .. }) => println!("{strategy}: {reason}"),
///         Err(error) => return Err(error),
///     }
/// }
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Each channel is split over workgroups whose partial results a second launch merges; a third one walks the
    /// tensor. Reads word by word. Takes every shape.
    General,
    /// As `General` by vectors: blocks are split over workgroups; the launch that writes the tensor merges their
    /// partial results itself where they are few.
    Split,
    /// One launch: a workgroup reduces a block, then reads it again, from the cache if it fits.
    Fused,
    /// One launch: a workgroup holds a block in its registers, so that memory is read once.
    Resident,
}

impl Strategy {
    /// All strategies: what tests and benchmarks walk.
    pub const ALL: [Self; 4] = [Self::General, Self::Split, Self::Fused, Self::Resident];

    /// Its name, as in `resident`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::Split => "split",
            Self::Fused => "fused",
            Self::Resident => "resident",
        }
    }
}

impl std::fmt::Display for Strategy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
