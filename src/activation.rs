//! What is applied to each value after it is normalized.

use crate::error::Error;

/// The function at the end of a layer: `y = f(z)`, `z = gamma * x_hat + beta`, plus the residual where there is one.
/// Where it has a corner, its derivative there is PyTorch's: 0 of ReLU at 0, alpha of leaky ReLU, 0 at both ends of a clamp.
///
/// ```
/// use wgpu_batchnorm::Activation;
///
/// assert_eq!(Activation::RELU6, Activation::Clamp { lo: 0.0, hi: 6.0 });
/// assert_eq!(Activation::default(), Activation::Identity);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Activation {
    /// `z`.
    #[default]
    Identity,
    /// `max(z, 0)`.
    Relu,
    /// `z` above 0, `alpha * z` else.
    LeakyRelu {
        /// Slope below 0, any finite number.
        alpha: f32,
    },
    /// `min(max(z, lo), hi)`.
    Clamp {
        /// Least value of y; may be minus infinity.
        lo: f32,
        /// Largest value of y; may be infinity. Above `lo`.
        hi: f32,
    },
    /// `1 / (1 + exp(-z))`.
    Sigmoid,
    /// `tanh(z)`.
    Tanh,
    /// `z * sigmoid(z)`, also called swish.
    Silu,
    /// `z / 2 * (1 + tanh(sqrt(2 / pi) * (z + 0.044715 * z^3)))`: the tanh form, `approximate='tanh'` in PyTorch.
    Gelu,
}

impl Activation {
    /// `min(max(z, 0), 6)`.
    pub const RELU6: Self = Self::Clamp { lo: 0.0, hi: 6.0 };

    /// One of each, for tables and tests.
    pub const EACH: [Self; 8] = [
        Self::Identity,
        Self::Relu,
        Self::LeakyRelu { alpha: 0.01 },
        Self::RELU6,
        Self::Sigmoid,
        Self::Tanh,
        Self::Silu,
        Self::Gelu,
    ];

    /// As in `leaky_relu`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Relu => "relu",
            Self::LeakyRelu { .. } => "leaky_relu",
            Self::Clamp { .. } => "clamp",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Silu => "silu",
            Self::Gelu => "gelu",
        }
    }

    /// Whether its numbers make a function.
    ///
    /// # Errors
    /// [`Error::Activation`] for an `alpha` that is not finite, a bound that is not a number, `hi` not above `lo`.
    ///
    /// ```
    /// use wgpu_batchnorm::Activation;
    ///
    /// assert!(Activation::RELU6.check().is_ok());
    /// assert!(Activation::Clamp { lo: 1.0, hi: 0.0 }.check().is_err());
    /// ```
    pub fn check(self) -> Result<(), Error> {
        match self {
            Self::LeakyRelu { alpha } if !alpha.is_finite() => {
                Err(Error::Activation { argument: "alpha", got: alpha, needs: "finite" })
            }
            Self::Clamp { lo, .. } if lo.is_nan() => {
                Err(Error::Activation { argument: "lo", got: lo, needs: "a number" })
            }
            // Not below or NaN.
            Self::Clamp { lo, hi } if hi.is_nan() || hi <= lo => {
                Err(Error::Activation { argument: "hi", got: hi, needs: "above lo" })
            }
            _ => Ok(()),
        }
    }

    /// The two numbers that its kernels read.
    pub(crate) const fn numbers(self) -> [f32; 2] {
        match self {
            Self::LeakyRelu { alpha } => [alpha, 0.0],
            Self::Clamp { lo, hi } => [lo, hi],
            _ => [0.0; 2],
        }
    }
}
