//! The conventions of other systems, by their names.

use crate::options::Layer;
use crate::running::{Momentum, RunningStatistics, RunningVariance};

/// A system whose layers are taken over: its defaults, and its numbers read as it writes them.
///
/// | system | eps | momentum | weighs | averaged variance | channel axis | source |
/// |---|---|---|---|---|---|---|
/// | `PyTorch` | 1e-5 | 0.1 | the new value | unbiased | 1 | [`torch.nn.BatchNorm2d`][pytorch] |
/// | `Onnx15` | 1e-5 | 0.9 | the old value | biased | 1 | [`BatchNormalization`][onnx], since opset 15 |
/// | `Keras3` | 1e-3 | 0.99 | the old value | biased | last | [`keras.layers.BatchNormalization`][keras] |
/// | `TensorFlowFused` | 1e-3, raised to 1.001e-5 | 1 | the new value | unbiased | last | [`tf.compat.v1.nn.fused_batch_norm`][fused] |
/// | `Burn` | 1e-5 | 0.1 | the new value | biased | 1 | burn-nn 0.22, `BatchNormConfig` |
///
/// All normalize a training batch by its biased variance, and add eps inside the root.
///
/// ```
/// use wgpu_batchnorm::{Convention, Layer, Momentum};
///
/// // keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-4)
/// let layer = Convention::Keras3.describe(1e-4, 0.9);
/// assert_eq!(layer.running.map(|running| running.momentum), Some(Momentum::OfOld(0.9)));
/// assert_eq!(Convention::PyTorch.layer(), Layer::default());
/// ```
///
/// [pytorch]: https://pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
/// [onnx]: https://onnx.ai/onnx/operators/onnx__BatchNormalization.html
/// [keras]: https://keras.io/api/layers/normalization_layers/batch_normalization/
/// [fused]: https://www.tensorflow.org/api_docs/python/tf/compat/v1/nn/fused_batch_norm
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Convention {
    /// `torch.nn.BatchNorm1d`, `2d`, `3d` and `SyncBatchNorm`. Its `momentum=None` is no number but
    /// [`Momentum::Cumulative`].
    PyTorch,
    /// The ONNX operator `BatchNormalization` from opset 15 on, with `training_mode=1` where running statistics are
    /// concerned.
    Onnx15,
    /// `keras.layers.BatchNormalization` of Keras 3, on any of its backends.
    Keras3,
    /// TensorFlow's fused operation, `FusedBatchNormV3`, as its Python function calls it: `momentum` is its
    /// `exponential_avg_factor`, and an epsilon below 1.001e-5 is raised to that without a word. At its default factor
    /// of 1 it does not look at the old statistics; here they have the weight 0 and need to be finite.
    TensorFlowFused,
    /// `burn::nn::BatchNorm`.
    Burn,
}

/// What TensorFlow's Python function raises a smaller epsilon to.
const LEAST_FUSED_EPS: f32 = 1.001e-5;

impl Convention {
    /// All of them, for tables and tests.
    pub const ALL: [Self; 5] = [Self::PyTorch, Self::Onnx15, Self::Keras3, Self::TensorFlowFused, Self::Burn];

    /// What the system is called.
    ///
    /// ```
    /// use wgpu_batchnorm::Convention;
    ///
    /// assert_eq!(Convention::ALL.map(Convention::name)[1], "ONNX opset 15");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Self::PyTorch => "PyTorch",
            Self::Onnx15 => "ONNX opset 15",
            Self::Keras3 => "Keras 3",
            Self::TensorFlowFused => "TensorFlow fused",
            Self::Burn => "Burn",
        }
    }

    /// The layer that the system makes where nothing is said: its eps and its running statistics, gamma and beta, no
    /// residual, no activation.
    ///
    /// ```
    /// use wgpu_batchnorm::{Affine, Convention, Layer};
    ///
    /// // keras.layers.BatchNormalization(scale=False)
    /// let layer = Layer { affine: Affine::Beta, ..Convention::Keras3.layer() };
    /// assert_eq!(layer.eps, 1e-3);
    /// ```
    pub fn layer(self) -> Layer {
        match self {
            Self::PyTorch | Self::Burn => self.describe(1e-5, 0.1),
            Self::Onnx15 => self.describe(1e-5, 0.9),
            Self::Keras3 => self.describe(1e-3, 0.99),
            Self::TensorFlowFused => self.describe(1e-3, 1.0),
        }
    }

    /// The layer that the system makes of these two numbers, as it writes them; all else as in [`Convention::layer`].
    ///
    /// `eps` is what the system computes with: TensorFlow's fused operation raises one below 1.001e-5 to that. Nothing
    /// is refused here; an eps or a momentum that cannot be used is an error of the operation that gets it.
    ///
    /// ```
    /// use wgpu_batchnorm::Convention;
    ///
    /// // A layer of ONNX, read from its attributes, is this one of PyTorch.
    /// let (onnx, pytorch) = (Convention::Onnx15.describe(1e-3, 0.75), Convention::PyTorch.describe(1e-3, 0.25));
    /// let weight = |layer: wgpu_batchnorm::Layer| layer.running?.momentum.weight();
    /// assert_eq!(weight(onnx), weight(pytorch));
    /// // But for the variance that is averaged.
    /// assert_ne!(onnx.running.map(|running| running.variance), pytorch.running.map(|running| running.variance));
    /// ```
    pub fn describe(self, eps: f32, momentum: f32) -> Layer {
        let eps = match self {
            // Not `max`, which would make a number of NaN.
            Self::TensorFlowFused if eps < LEAST_FUSED_EPS => LEAST_FUSED_EPS,
            _ => eps,
        };
        let running = RunningStatistics {
            momentum: self.momentum(momentum),
            variance: self.variance(),
            ..RunningStatistics::default()
        };
        Layer { eps, running: Some(running), ..Layer::default() }
    }

    /// Which variance of a batch goes into the system's running variance.
    ///
    /// ```
    /// use wgpu_batchnorm::{Convention, RunningVariance};
    ///
    /// assert_eq!(Convention::Burn.variance(), RunningVariance::Biased);
    /// ```
    pub const fn variance(self) -> RunningVariance {
        match self {
            Self::PyTorch | Self::TensorFlowFused => RunningVariance::Unbiased,
            Self::Onnx15 | Self::Keras3 | Self::Burn => RunningVariance::Biased,
        }
    }

    /// A momentum as the system writes it. The number is kept, and with it which value it weighs: nothing is lost.
    ///
    /// ```
    /// use wgpu_batchnorm::{Convention, Momentum};
    ///
    /// assert_eq!(Convention::PyTorch.momentum(0.1), Momentum::OfNew(0.1));
    /// assert_eq!(Convention::Onnx15.momentum(0.9), Momentum::OfOld(0.9));
    /// ```
    pub const fn momentum(self, written: f32) -> Momentum {
        if self.weighs_old() { Momentum::OfOld(written) } else { Momentum::OfNew(written) }
    }

    /// The way back: how the system writes a momentum. `None` for [`Momentum::Cumulative`], which in PyTorch is
    /// `momentum=None`, and in the others is not to be had.
    ///
    /// A number goes over as it is where both weigh the same value, and as 1 less it, rounded once to f32, where not.
    ///
    /// ```
    /// use wgpu_batchnorm::{Convention, Momentum};
    ///
    /// let keras = Convention::Keras3.momentum(0.75);
    /// assert_eq!(Convention::Keras3.momentum_of(keras), Some(0.75));
    /// assert_eq!(Convention::PyTorch.momentum_of(keras), Some(0.25));
    /// assert_eq!(Convention::PyTorch.momentum_of(Momentum::Cumulative), None);
    /// ```
    pub fn momentum_of(self, momentum: Momentum) -> Option<f32> {
        match (momentum, self.weighs_old()) {
            (Momentum::OfNew(weight), false) | (Momentum::OfOld(weight), true) => Some(weight),
            (Momentum::OfNew(weight), true) | (Momentum::OfOld(weight), false) => Some(1.0 - weight),
            (Momentum::Cumulative, _) => None,
        }
    }

    /// Where the channels are where nothing is said, in a tensor of this many dimensions: for
    /// [`Shape::new`](crate::Shape::new), which refuses a rank below 2.
    ///
    /// ```
    /// use wgpu_batchnorm::{Convention, Dtype, Shape};
    ///
    /// let nhwc = [32, 28, 28, 64];
    /// let shape = Shape::new(&nhwc, Convention::Keras3.channel_axis(nhwc.len()), Dtype::F32)?;
    /// assert_eq!(shape.channels(), 64);
    /// # Ok::<(), wgpu_batchnorm::Error>(())
    /// ```
    pub const fn channel_axis(self, rank: usize) -> usize {
        match self {
            Self::PyTorch | Self::Onnx15 | Self::Burn => 1,
            Self::Keras3 | Self::TensorFlowFused => rank.saturating_sub(1),
        }
    }

    /// Whether the system's momentum is the weight of the old value.
    const fn weighs_old(self) -> bool {
        matches!(self, Self::Onnx15 | Self::Keras3)
    }
}
