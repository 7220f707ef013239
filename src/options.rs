//! By which conventions a tensor is normalized. The defaults are PyTorch's.

use crate::activation::Activation;
use crate::error::Error;
use crate::running::RunningStatistics;
use crate::tensor::{Dtype, Shape};

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

/// Whether a second tensor of x's shape is added before the activation, as at the end of a residual block:
/// `y = activation(gamma * x_hat + beta + residual)`.
///
/// ```
/// use wgpu_batchnorm::Residual;
///
/// assert_eq!(Residual::default(), Residual::None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Residual {
    /// There is none.
    #[default]
    None,
    /// It is given, in the storage type of x.
    Added,
}

/// A whole layer, as its passes share it: the one description from which the options of each of them follow, so that
/// they agree. Its parts combine freely. The CPU path and the stages of a batch in parts take less of it, and refuse the
/// rest by name.
///
/// `y = activation(gamma * x_hat + beta + residual)`, where x_hat is x normalized by the statistics of the batch in training,
/// and by the running ones in inference.
///
/// A gradient by a gamma or beta that the layer has not is that at 1 or 0; [`Layer::gradients`] leaves it out.
///
/// | part | training | inference | backward | backward of inference |
/// |---|---|---|---|---|
/// | `eps` | joins the variance of the batch | joins the running variance | is inside the saved invstd | joins the running variance |
/// | `affine` | reads gamma and beta, where there are any | the same | reads gamma for dx; both, where an activation has to be computed again | the same |
/// | `residual` | reads it | reads it | reads it where an activation has to be computed again; writes its gradient where asked to | the same |
/// | `activation` | joins the writing of y | the same | is computed again from x, and joins the reading of dy | the same |
/// | `running` | follows the batch | has no say: running statistics are read as they are | has no say | has no say |
///
/// ```
/// use wgpu_batchnorm::{Activation, Gradients, Layer, Residual};
///
/// // The end of a block of a ResNet.
/// let layer = Layer { activation: Activation::Relu, residual: Residual::Added, ..Layer::default() };
/// let backward = layer.backward(layer.gradients());
/// assert_eq!(layer.training().activation, backward.activation);
/// assert_eq!(backward.gradients, Gradients { dresidual: true, ..Gradients::default() });
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layer {
    /// Added to the variance inside the root. Default 1e-5. At least `f32::MIN_POSITIVE`, 1.18e-38, in training, and at
    /// least 0 in inference.
    pub eps: f32,
    /// Which of gamma and beta there are.
    pub affine: Affine,
    /// Whether a second tensor is added before the activation.
    pub residual: Residual,
    /// What is applied to each value at the end.
    pub activation: Activation,
    /// How running statistics follow the batches; `None` keeps none.
    pub running: Option<RunningStatistics>,
}

impl Default for Layer {
    fn default() -> Self {
        let TrainingOptions { eps, affine, residual, activation, running } = TrainingOptions::default();
        Self { eps, affine, residual, activation, running }
    }
}

impl Layer {
    /// What [`Training`](crate::Training) takes.
    pub fn training(&self) -> TrainingOptions {
        let Self { eps, affine, residual, activation, running } = *self;
        TrainingOptions { eps, affine, residual, activation, running }
    }

    /// What [`Inference`](crate::Inference) takes.
    pub fn inference(&self) -> InferenceOptions {
        let Self { eps, affine, residual, activation, .. } = *self;
        InferenceOptions { eps, affine, residual, activation }
    }

    /// What [`Backward`](crate::Backward) takes.
    pub fn backward(&self, gradients: Gradients) -> BackwardOptions {
        let Self { affine, residual, activation, .. } = *self;
        BackwardOptions { affine, residual, activation, gradients }
    }

    /// The gradients by all that the layer has: x, gamma and beta if there are any, the residual if there is one.
    ///
    /// ```
    /// use wgpu_batchnorm::{Affine, Gradients, Layer};
    ///
    /// let layer = Layer { affine: Affine::Beta, ..Layer::default() };
    /// assert_eq!(layer.gradients(), Gradients { dgamma: false, ..Gradients::default() });
    /// ```
    pub fn gradients(&self) -> Gradients {
        Gradients {
            dx: true,
            dgamma: self.affine.has_gamma(),
            dbeta: self.affine.has_beta(),
            dresidual: self.residual == Residual::Added,
        }
    }

    /// What [`Fold`](crate::Fold) takes, for a weight without groups and a bias in f32. The residual and the activation
    /// remain to be done behind the folded layer.
    ///
    /// ```
    /// use wgpu_batchnorm::{Convention, FoldOptions};
    ///
    /// // A transposed convolution in 8 groups before a batch norm of Keras.
    /// let options = FoldOptions { groups: 8, ..Convention::Keras3.layer().fold() };
    /// assert_eq!(options.eps, 1e-3);
    /// ```
    pub fn fold(&self) -> FoldOptions {
        let Self { eps, affine, .. } = *self;
        FoldOptions { eps, affine, groups: 1, bias: Dtype::F32 }
    }

    /// What [`FrozenBackward`](crate::FrozenBackward) takes.
    pub fn frozen_backward(&self, gradients: Gradients) -> FrozenBackwardOptions {
        let Self { eps, affine, residual, activation, .. } = *self;
        FrozenBackwardOptions { eps, affine, residual, activation, gradients }
    }
}

/// Options of [`Training`](crate::Training).
///
/// ```
/// use wgpu_batchnorm::{Affine, TrainingOptions};
///
/// // torch.nn.BatchNorm2d(C, eps=1e-3, affine=False, track_running_stats=False)
/// let options = TrainingOptions { eps: 1e-3, affine: Affine::None, running: None, ..Default::default() };
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainingOptions {
    /// Added to the variance inside the root. At least `f32::MIN_POSITIVE`, 1.18e-38; default 1e-5.
    pub eps: f32,
    /// Which of gamma and beta there are.
    pub affine: Affine,
    /// Whether a second tensor is added before the activation.
    pub residual: Residual,
    /// What is applied to each value at the end.
    pub activation: Activation,
    /// How running statistics are updated; `None` keeps none.
    pub running: Option<RunningStatistics>,
}

impl Default for TrainingOptions {
    fn default() -> Self {
        Self {
            eps: 1e-5,
            affine: Affine::default(),
            residual: Residual::default(),
            activation: Activation::default(),
            running: Some(RunningStatistics::default()),
        }
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
    /// Whether a second tensor is added before the activation.
    pub residual: Residual,
    /// What is applied to each value at the end.
    pub activation: Activation,
}

impl Default for InferenceOptions {
    fn default() -> Self {
        Layer::default().inference()
    }
}

/// Which gradients a backward operation computes. What is not asked for is neither computed nor written.
///
/// ```
/// use wgpu_batchnorm::Gradients;
///
/// let parameters_only = Gradients { dx: false, ..Gradients::default() };
/// assert!(parameters_only.dgamma && parameters_only.dbeta && !parameters_only.dresidual);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gradients {
    /// Gradient by the input tensor.
    pub dx: bool,
    /// Gradient by gamma.
    pub dgamma: bool,
    /// Gradient by beta.
    pub dbeta: bool,
    /// Gradient by the residual; off by default, as the residual is.
    pub dresidual: bool,
}

impl Gradients {
    /// No gradient: what an operation refuses, and where a selection begins.
    pub const NONE: Self = Self { dx: false, dgamma: false, dbeta: false, dresidual: false };

    pub(crate) fn check(&self, residual: Residual) -> Result<(), Error> {
        if *self == Self::NONE {
            return Err(Error::NoGradients);
        }
        if self.dresidual && residual == Residual::None {
            return Err(Error::NoResidual);
        }
        Ok(())
    }
}

impl Default for Gradients {
    fn default() -> Self {
        Self { dx: true, dgamma: true, dbeta: true, dresidual: false }
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
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BackwardOptions {
    /// What the forward pass had. Without an activation only gamma matters: dx is proportional to it.
    pub affine: Affine,
    /// What the forward pass had.
    pub residual: Residual,
    /// What the forward pass had.
    pub activation: Activation,
    /// Which gradients are computed.
    pub gradients: Gradients,
}

/// Options of [`FrozenBackward`](crate::FrozenBackward).
///
/// ```
/// use wgpu_batchnorm::{FrozenBackwardOptions, Gradients};
///
/// // A layer whose parameters are frozen as well: dx alone, by one reading of dy.
/// let gradients = Gradients { dx: true, ..Gradients::NONE };
/// let options = FrozenBackwardOptions { gradients, ..Default::default() };
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrozenBackwardOptions {
    /// What the forward pass had. At least 0; default 1e-5.
    pub eps: f32,
    /// What the forward pass had. Without an activation only gamma matters: dx is proportional to it.
    pub affine: Affine,
    /// What the forward pass had.
    pub residual: Residual,
    /// What the forward pass had.
    pub activation: Activation,
    /// Which gradients are computed.
    pub gradients: Gradients,
}

impl Default for FrozenBackwardOptions {
    fn default() -> Self {
        Layer::default().frozen_backward(Gradients::default())
    }
}

/// Options of [`Fold`](crate::Fold).
///
/// ```
/// use wgpu_batchnorm::{Dtype, FoldOptions, Shape};
///
/// // torch.nn.ConvTranspose2d(32, 64, 4, groups=8): weight [32, 64 / 8, 4, 4]
/// let options = FoldOptions { groups: 8, ..Default::default() };
/// let weight = Shape::new(&[32, 8, 4, 4], 1, Dtype::F32)?;
/// assert_eq!(options.channels(&weight)?, 64);
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FoldOptions {
    /// Added to the running variance inside the root. At least 0; default 1e-5.
    pub eps: f32,
    /// Which of gamma and beta there are.
    pub affine: Affine,
    /// Groups of a transposed convolution, whose weight is `[in, out / groups, ..]`: the channel axis has the outputs of one
    /// group, and the axes before it are the groups, one after the other. 1, the default, for every other weight: that of an
    /// ordinary convolution has all outputs on its axis, whatever its groups.
    pub groups: u32,
    /// Storage type of the bias, f32 by default. In f16 a large mean rounds it.
    pub bias: Dtype,
}

impl Default for FoldOptions {
    fn default() -> Self {
        Layer::default().fold()
    }
}

impl FoldOptions {
    /// The output channels of a weight of that shape: what the batch norm has.
    ///
    /// # Errors
    /// [`Error::Eps`]; [`Error::Groups`] where the weight does not fall into that many groups; [`Error::TooManyValues`].
    pub fn channels(&self, weight: &Shape) -> Result<u32, Error> {
        check_inference_eps(self.eps)?;
        let (groups, outer) = (self.groups, weight.outer());
        if groups == 0 || !outer.is_multiple_of(groups) {
            return Err(Error::Groups { got: groups, outer });
        }
        let channels = u64::from(weight.channels()) * u64::from(groups);
        let max = i32::MAX as u64;
        u32::try_from(channels)
            .ok()
            .filter(|channels| u64::from(*channels) <= max)
            .ok_or(Error::TooManyValues { got: channels, max })
    }
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
