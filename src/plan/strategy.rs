//! Ways of sharing the work of a reduction out.

/// How the work of a reduction is shared out.
///
/// ```
/// use wgpu_batchnorm::{Caps, Plan, Shape, Strategy, TrainingOptions, Dtype};
///
/// let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
/// for strategy in Strategy::ALL {
///     let plan = Plan::training_by(strategy, &shape, &TrainingOptions::default(), &Caps::WEBGPU)?;
///     assert_eq!(plan.strategy(), Some(strategy));
/// }
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Each channel is split over workgroups whose partial results a second launch merges; a third one walks the
    /// tensor. Takes every shape.
    Split,
}

impl Strategy {
    /// All strategies: what tests and benchmarks walk.
    pub const ALL: [Self; 1] = [Self::Split];
}

impl std::fmt::Display for Strategy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Split => "split",
        })
    }
}
