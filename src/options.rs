//! By which conventions a tensor is normalized. The defaults are PyTorch's.

use crate::error::Error;

/// Which of the scale gamma and the shift beta (algorithm 1, line 4) an operation has. What is absent is 1 and 0.
///
/// ```
/// use wgpu_batchnorm::Affine;
///
/// assert_eq!(Affine::default(), Affine::GammaBeta);
/// assert!(Affine::Gamma.has_gamma() && !Affine::Gamma.has_beta());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Affine {
    /// Both: `y = gamma * x_hat + beta`.
    #[default]
    GammaBeta,
    /// Gamma alone: `y = gamma * x_hat`.
    Gamma,
    /// Beta alone: `y = x_hat + beta`.
    Beta,
    /// Neither: `y = x_hat`.
    None,
}

impl Affine {
    /// All four, for tables and tests.
    pub const ALL: [Self; 4] = [Self::GammaBeta, Self::Gamma, Self::Beta, Self::None];

    /// Whether there is a gamma.
    pub const fn has_gamma(self) -> bool {
        matches!(self, Self::GammaBeta | Self::Gamma)
    }

    /// Whether there is a beta.
    pub const fn has_beta(self) -> bool {
        matches!(self, Self::GammaBeta | Self::Beta)
    }
}

/// Which variance of a batch of m values goes into the running variance. The batch itself is always normalized by
/// the biased one.
///
/// ```
/// use wgpu_batchnorm::RunningVariance;
///
/// assert_eq!(RunningVariance::default(), RunningVariance::Unbiased);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RunningVariance {
    /// Divided by m - 1, as in algorithm 2 line 10 of the paper, PyTorch, cuDNN and candle.
    #[default]
    Unbiased,
    /// Divided by m, as in ONNX, Keras and Burn.
    Biased,
}

/// How the running statistics follow the batches.
///
/// ```
/// use wgpu_batchnorm::{RunningStatistics, RunningVariance};
///
/// let keras = RunningStatistics { momentum: 1.0 - 0.99, variance: RunningVariance::Biased };
/// assert_ne!(keras, RunningStatistics::default());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunningStatistics {
    /// Weight of the new value, as in PyTorch: `new = (1 - momentum) * old + momentum * batch`. TensorFlow, Keras and
    /// ONNX give the weight of the old value: take 1 minus theirs. Default 0.1. Any finite number is taken, as
    /// PyTorch does.
    pub momentum: f32,
    /// Which variance is averaged.
    pub variance: RunningVariance,
}

impl Default for RunningStatistics {
    fn default() -> Self {
        Self { momentum: 0.1, variance: RunningVariance::default() }
    }
}

impl RunningStatistics {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.momentum.is_finite() { Ok(()) } else { Err(Error::Momentum { got: self.momentum }) }
    }
}

/// Options of [`Training`](crate::Training).
///
/// ```
/// use wgpu_batchnorm::{Affine, TrainingOptions};
///
/// // torch.nn.BatchNorm2d(C, eps=1e-3, affine=False, track_running_stats=False)
/// let options = TrainingOptions { eps: 1e-3, affine: Affine::None, running: None };
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainingOptions {
    /// Added to the variance inside the root. At least `f32::MIN_POSITIVE`, 1.18e-38; default 1e-5.
    pub eps: f32,
    /// Which of gamma and beta there are.
    pub affine: Affine,
    /// How running statistics are updated; `None` keeps none.
    pub running: Option<RunningStatistics>,
}

impl Default for TrainingOptions {
    fn default() -> Self {
        Self { eps: 1e-5, affine: Affine::default(), running: Some(RunningStatistics::default()) }
    }
}

/// Options of [`Inference`](crate::Inference).
///
/// ```
/// use wgpu_batchnorm::InferenceOptions;
///
/// let keras = InferenceOptions { eps: 1e-3, ..Default::default() };
/// # let _ = keras;
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InferenceOptions {
    /// Added to the variance inside the root. At least 0; default 1e-5.
    pub eps: f32,
    /// Which of gamma and beta there are.
    pub affine: Affine,
}

impl Default for InferenceOptions {
    fn default() -> Self {
        Self { eps: 1e-5, affine: Affine::default() }
    }
}

/// Which gradients a backward operation computes. What is not asked for is neither computed nor written.
///
/// ```
/// use wgpu_batchnorm::Gradients;
///
/// let parameters_only = Gradients { dx: false, ..Gradients::default() };
/// assert!(parameters_only.dgamma && parameters_only.dbeta);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gradients {
    /// Gradient by the input tensor.
    pub dx: bool,
    /// Gradient by gamma.
    pub dgamma: bool,
    /// Gradient by beta.
    pub dbeta: bool,
}

impl Default for Gradients {
    fn default() -> Self {
        Self { dx: true, dgamma: true, dbeta: true }
    }
}

/// Options of [`Backward`](crate::Backward). There is no eps: it is inside the saved invstd.
///
/// ```
/// use wgpu_batchnorm::{Affine, BackwardOptions};
///
/// let options = BackwardOptions { affine: Affine::None, ..Default::default() };
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct BackwardOptions {
    /// What the forward pass had. Only gamma matters: dx is proportional to it.
    pub affine: Affine,
    /// Which gradients are computed.
    pub gradients: Gradients,
}

/// `eps` under a root that is taken of a batch's own variance, which may be 0. WGSL lets a device take a subnormal
/// number for 0, and the root of 0 would make a constant channel NaN.
pub(crate) fn check_training_eps(eps: f32) -> Result<(), Error> {
    if eps.is_finite() && eps >= f32::MIN_POSITIVE {
        Ok(())
    } else {
        Err(Error::Eps { got: eps, needs: "finite and at least 1.18e-38 in training" })
    }
}

/// `eps` under a root that is taken of a given variance. PyTorch, too, allows 0 here.
pub(crate) fn check_inference_eps(eps: f32) -> Result<(), Error> {
    if eps.is_finite() && eps >= 0.0 {
        Ok(())
    } else {
        Err(Error::Eps { got: eps, needs: "finite and at least 0 in inference" })
    }
}
