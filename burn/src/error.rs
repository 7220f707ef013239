//! Every mistake a caller can make, by name, value and need.

use burn::tensor::Device;

/// What is wrong with a layer's configuration or its input.
///
/// ```
/// use wgpu_batchnorm_burn::Error;
///
/// let error = Error::Channels { got: vec![32, 3, 28, 28], needs: 64 };
/// assert_eq!(error.to_string(), "input: is [32, 3, 28, 28], needs [batch, 64, ...]");
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A layer without channels.
    #[error("num_features must be greater than zero.")]
    NumFeatures,
    /// It is added to a variance that may be 0.
    #[error("epsilon must be finite and positive. It is {got}")]
    Epsilon {
        /// What it is.
        got: f64,
    },
    /// The weight of a batch in an average.
    #[error("momentum must be finite and within [0, 1]. It is {got}")]
    Momentum {
        /// What it is.
        got: f64,
    },
    /// The input has no axis of channels.
    #[error("input: its rank is {got}, needs at least 2: [batch, channels, ...]")]
    Rank {
        /// Its rank.
        got: usize,
    },
    /// The input has other channels.
    #[error("input: is {got:?}, needs [batch, {needs}, ...]")]
    Channels {
        /// Its dimensions.
        got: Vec<usize>,
        /// The layer's channels.
        needs: usize,
    },
    /// A parameter or a running statistic has not one number for each channel.
    #[error("{name}: has {got} numbers, needs one for each of {needs} channels")]
    PerChannel {
        /// Which.
        name: &'static str,
        /// How many it has.
        got: usize,
        /// The length of gamma.
        needs: usize,
    },
    /// A parameter or the residual is on another device than the input.
    #[error("{name}: is on {got:?}, needs to be on the input's, {needs:?}")]
    Device {
        /// Which.
        name: &'static str,
        /// Where it is.
        got: Box<Device>,
        /// Where the input is.
        needs: Box<Device>,
    },
    /// The activation has numbers that make none.
    #[error("{0}")]
    Activation(wgpu_batchnorm::Error),
    /// The residual is added value by value.
    #[error("residual: is {got:?}, needs the dimensions of the input, {needs:?}")]
    Residual {
        /// Its dimensions.
        got: Vec<usize>,
        /// The input's.
        needs: Vec<usize>,
    },
}
