//! What a buffer is for. The number is its `@binding` in every kernel, the name is its name in WGSL and in errors.

/// What a buffer is for, the same in every kernel.
///
/// ```
/// use wgpu_batchnorm::Role;
///
/// assert_eq!(Role::RunningMean.name(), "running_mean");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum Role {
    /// Uniform block with the sizes and scalars of a launch.
    Params,
    /// Input tensor.
    X,
    /// Output tensor of the forward pass.
    Y,
    /// Scale per channel, f32.
    Gamma,
    /// Shift per channel, f32.
    Beta,
    /// Running mean per channel, f32.
    RunningMean,
    /// Running variance per channel, f32.
    RunningVar,
    /// [`SavedStatistics`](crate::SavedStatistics) per channel.
    Saved,
    /// Sets of [`Moments`](crate::Moments) per channel, `[sets, channels]`.
    PartialMoments,
    /// [`Moments`](crate::Moments) per channel.
    Moments,
    /// Gradient of the loss by `y`.
    Dy,
    /// Gradient of the loss by `x`.
    Dx,
    /// Gradient of the loss by gamma, f32.
    Dgamma,
    /// Gradient of the loss by beta, f32.
    Dbeta,
    /// Sets of [`GradientSums`](crate::GradientSums) per channel, `[sets, channels]`.
    PartialSums,
    /// [`GradientSums`](crate::GradientSums) per channel.
    Sums,
    /// Tensor that is added before the activation.
    Residual,
    /// Gradient of the loss by the residual.
    Dresidual,
    /// [`RunningCounters`](crate::RunningCounters) per channel.
    Counters,
    /// Running mean per channel where it does not go over the old one, f32.
    NewRunningMean,
    /// Running variance per channel where it does not go over the old one, f32.
    NewRunningVar,
    /// Weight of the layer before, bound as x.
    Weight,
    /// Bias of the layer before, bound as x.
    Bias,
    /// New weight of the layer before, bound as y.
    FoldedWeight,
    /// New bias of the layer before, bound as y.
    FoldedBias,
    /// Scratch memory of an operation; its regions are bound in other roles.
    Workspace,
}

impl Role {
    /// All roles that a kernel may bind.
    pub const BOUND: [Self; 21] = [
        Self::Params,
        Self::X,
        Self::Y,
        Self::Gamma,
        Self::Beta,
        Self::RunningMean,
        Self::RunningVar,
        Self::Saved,
        Self::PartialMoments,
        Self::Moments,
        Self::Dy,
        Self::Dx,
        Self::Dgamma,
        Self::Dbeta,
        Self::PartialSums,
        Self::Sums,
        Self::Residual,
        Self::Dresidual,
        Self::Counters,
        Self::NewRunningMean,
        Self::NewRunningVar,
    ];

    /// Name of the variable in WGSL, of the field in the structs of buffers, and in errors.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Params => "params",
            Self::X => "x",
            Self::Y => "y",
            Self::Gamma => "gamma",
            Self::Beta => "beta",
            Self::RunningMean => "running_mean",
            Self::RunningVar => "running_var",
            Self::Saved => "saved",
            Self::PartialMoments => "partial_moments",
            Self::Moments => "moments",
            Self::Dy => "dy",
            Self::Dx => "dx",
            Self::Dgamma => "dgamma",
            Self::Dbeta => "dbeta",
            Self::PartialSums => "partial_sums",
            Self::Sums => "sums",
            Self::Residual => "residual",
            Self::Dresidual => "dresidual",
            Self::Counters => "counters",
            Self::NewRunningMean => "new_running_mean",
            Self::NewRunningVar => "new_running_var",
            Self::Weight => "weight",
            Self::Bias => "bias",
            Self::FoldedWeight => "folded_weight",
            Self::FoldedBias => "folded_bias",
            Self::Workspace => "workspace",
        }
    }

    /// Number of its `@binding` in group 0.
    pub const fn binding(self) -> u32 {
        self as u32
    }

    /// Type of the variable in WGSL.
    pub(crate) const fn wgsl_type(self) -> &'static str {
        match self {
            Self::Params => "Params",
            Self::X
            | Self::Y
            | Self::Dy
            | Self::Dx
            | Self::Residual
            | Self::Dresidual
            | Self::Weight
            | Self::Bias
            | Self::FoldedWeight
            | Self::FoldedBias => "array<Word>",
            Self::Gamma
            | Self::Beta
            | Self::RunningMean
            | Self::RunningVar
            | Self::NewRunningMean
            | Self::NewRunningVar
            | Self::Dgamma
            | Self::Dbeta => "array<f32>",
            Self::Counters => "array<Counters>",
            Self::Saved => "array<Saved>",
            Self::PartialMoments | Self::Moments => "array<Moments>",
            Self::PartialSums | Self::Sums => "array<GradientSums>",
            Self::Workspace => "array<u32>",
        }
    }
}
