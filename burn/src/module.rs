//! The layer: Burn's module by name, fields, configuration and record.

use burn::config::Config;
use burn::module::{Content, DisplaySettings, Flag, Module, ModuleDisplay, Param, RunningState};
use burn::tensor::{Device, Tensor};
use wgpu_batchnorm::{
    Activation, Layer, Momentum, RunningStatistics, RunningTarget, RunningVariance, Update,
};

use crate::error::Error;
use crate::kernels;
use crate::own;
use crate::path::{Mode, Path};
use crate::running;

/// Configuration of a [`BatchNorm`], as [`burn::nn::BatchNormConfig`].
///
/// ```no_run
/// use burn::tensor::{Device, DeviceKind};
/// use wgpu_batchnorm_burn::BatchNormConfig;
///
/// let device = Device::wgpu(DeviceKind::DefaultDevice).autodiff();
/// let layer = BatchNormConfig::new(64).with_momentum(0.05).init(&device);
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct BatchNormConfig {
    /// Number of channels, at least 1.
    pub num_features: usize,
    /// Added to the variance inside the root; finite and positive. Default: 1e-5.
    #[config(default = 1e-5)]
    pub epsilon: f64,
    /// Weight of a batch in the running statistics, in 0 to 1. Default: 0.1.
    #[config(default = 0.1)]
    pub momentum: f64,
}

impl BatchNormConfig {
    /// A new layer: gamma 1, beta 0, running mean 0, running variance 1.
    ///
    /// # Panics
    /// Where [`Self::try_init`] returns an error, as Burn's does.
    pub fn init(&self, device: &Device) -> BatchNorm {
        match self.try_init(device) {
            Ok(layer) => layer,
            Err(error) => panic!("{error}"),
        }
    }

    /// A new layer as [`Self::init`] makes it, or what is wrong with the configuration.
    ///
    /// # Errors
    /// [`Error::NumFeatures`], [`Error::Epsilon`] and [`Error::Momentum`] for what is out of its range.
    ///
    /// ```no_run
    /// use burn::tensor::{Device, DeviceKind};
    /// use wgpu_batchnorm_burn::{BatchNormConfig, Error};
    ///
    /// let device = Device::wgpu(DeviceKind::DefaultDevice);
    /// assert!(matches!(BatchNormConfig::new(0).try_init(&device), Err(Error::NumFeatures)));
    /// ```
    pub fn try_init(&self, device: &Device) -> Result<BatchNorm, Error> {
        let Self { num_features, epsilon, momentum } = *self;
        if num_features == 0 {
            return Err(Error::NumFeatures);
        }
        if !(epsilon.is_finite() && epsilon > 0.0) {
            return Err(Error::Epsilon { got: epsilon });
        }
        if !(0.0..=1.0).contains(&momentum) {
            return Err(Error::Momentum { got: momentum });
        }
        Ok(burn::nn::BatchNormConfig::new(num_features)
            .with_epsilon(epsilon)
            .with_momentum(momentum)
            .init(device)
            .into())
    }
}

/// Batch normalization of `[batch, channels, ...]`, any rank from 2: [`burn::nn::BatchNorm`] by other kernels.
///
/// `y = gamma * x_hat + beta` with `x_hat = (x - mean) / sqrt(variance + epsilon)`, each by channel; in training mean and
/// variance are the batch's (algorithm 1 of [Ioffe & Szegedy 2015](https://arxiv.org/abs/1502.03167)), else the running
/// ones (algorithm 2).
///
/// The same fields, and so the same record; beside them one that is private, so that a literal is written by way of Burn's:
/// `BatchNorm::from(burn::nn::BatchNorm { .. })`. Training, that is the batch's statistics, on an autodiff device unless the
/// layer is frozen; the running statistics else, as in Burn. Their variance is the biased one, as in Burn;
/// [`Self::with_running_variance`] takes PyTorch's.
///
/// Several threads that train one layer update the running statistics one after the other, each batch once. (Burn
/// averages what its threads have computed.)
///
/// ```no_run
/// use burn::tensor::{Device, DeviceKind, Tensor};
/// use wgpu_batchnorm_burn::{Activation, BatchNormConfig};
///
/// let device = Device::wgpu(DeviceKind::DefaultDevice).autodiff();
/// let input = Tensor::<4>::zeros([32, 64, 28, 28], &device);
/// let layer = BatchNormConfig::new(64).init(&device).with_activation(Activation::Relu);
/// let output = layer.forward(input);
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct BatchNorm {
    /// Scale, `[channels]`.
    pub gamma: Param<Tensor<1>>,
    /// Shift, `[channels]`.
    pub beta: Param<Tensor<1>>,
    /// Whether the layer trains, on an autodiff device; [`Module::freeze`] turns it off.
    pub training: Param<Flag>,
    /// Running mean, `[channels]`.
    pub running_mean: RunningState<Tensor<1>>,
    /// Running variance, `[channels]`.
    pub running_var: RunningState<Tensor<1>>,
    /// Weight of a batch in the running statistics.
    pub momentum: f64,
    /// Added to the variance inside the root.
    pub epsilon: f64,
    #[module(skip)]
    extras: Extras,
}

/// What Burn's layer has not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Extras {
    activation: Activation,
    running_variance: Biased,
    update: Update,
}

/// Burn's choice is the default.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Biased(RunningVariance);

impl Default for Biased {
    fn default() -> Self {
        Self(RunningVariance::Biased)
    }
}

impl BatchNorm {
    /// With a function at its end, in the same launches: `y = activation(gamma * x_hat + beta)`.
    ///
    /// ```no_run
    /// # use burn::tensor::{Device, DeviceKind};
    /// # use wgpu_batchnorm_burn::{Activation, BatchNormConfig};
    /// # let device = Device::wgpu(DeviceKind::DefaultDevice);
    /// let layer = BatchNormConfig::new(64).init(&device).with_activation(Activation::LeakyRelu { alpha: 0.1 });
    /// ```
    #[must_use]
    pub fn with_activation(mut self, activation: Activation) -> Self {
        self.extras.activation = activation;
        self
    }

    /// With the running variance of another convention: PyTorch's is [`RunningVariance::Unbiased`]. It has none for a batch of
    /// one value per channel: the running statistics then stay as they are.
    ///
    /// ```no_run
    /// # use burn::tensor::{Device, DeviceKind};
    /// # use wgpu_batchnorm_burn::{BatchNormConfig, RunningVariance};
    /// # let device = Device::wgpu(DeviceKind::DefaultDevice);
    /// let layer = BatchNormConfig::new(64).init(&device).with_running_variance(RunningVariance::Unbiased);
    /// ```
    #[must_use]
    pub fn with_running_variance(mut self, variance: RunningVariance) -> Self {
        self.extras.running_variance = Biased(variance);
        self
    }

    /// With running statistics that not every batch gets into: [`Update::IfLayerFinite`] keeps out one with a NaN, for one
    /// launch more.
    ///
    /// ```no_run
    /// # use burn::tensor::{Device, DeviceKind};
    /// # use wgpu_batchnorm_burn::{BatchNormConfig, Update};
    /// # let device = Device::wgpu(DeviceKind::DefaultDevice);
    /// let layer = BatchNormConfig::new(64).init(&device).with_update(Update::IfLayerFinite);
    /// ```
    #[must_use]
    pub fn with_update(mut self, update: Update) -> Self {
        self.extras.update = update;
        self
    }

    /// Normalizes `[batch, channels, ...]`: the output has the input's dimensions and type. By the batch's statistics, which
    /// move the running ones, on an autodiff device unless the layer is frozen; else by the running ones.
    ///
    /// # Panics
    /// Where [`Self::try_forward`] returns an error: above all where the rank is less than 2, or axis 1 is not the number of
    /// channels, as Burn's does.
    ///
    /// ```no_run
    /// use burn::tensor::{Device, DeviceKind, Tensor};
    /// use wgpu_batchnorm_burn::BatchNormConfig;
    ///
    /// let device = Device::wgpu(DeviceKind::DefaultDevice).autodiff();
    /// let layer = BatchNormConfig::new(64).init(&device);
    /// let output = layer.forward(Tensor::<4>::zeros([32, 64, 28, 28], &device));
    /// assert_eq!(output.dims(), [32, 64, 28, 28]);
    /// ```
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        match self.try_forward(input, None) {
            Ok(output) => output,
            Err(error) => panic!("{error}"),
        }
    }

    /// `activation(gamma * x_hat + beta + residual)`: the end of a residual block, with the addition in the same launches.
    /// The residual has the input's dimensions; of another type it is converted first.
    ///
    /// # Panics
    /// Where [`Self::try_forward`] returns an error.
    ///
    /// ```no_run
    /// # use burn::tensor::{Device, DeviceKind, Tensor};
    /// # use wgpu_batchnorm_burn::{Activation, BatchNormConfig};
    /// # let device = Device::wgpu(DeviceKind::DefaultDevice).autodiff();
    /// let layer = BatchNormConfig::new(64).init(&device).with_activation(Activation::Relu);
    /// let (x, shortcut) = (Tensor::<4>::zeros([8, 64, 14, 14], &device), Tensor::ones([8, 64, 14, 14], &device));
    /// let output = layer.forward_residual(x, shortcut);
    /// ```
    pub fn forward_residual<const D: usize>(&self, input: Tensor<D>, residual: Tensor<D>) -> Tensor<D> {
        match self.try_forward(input, Some(residual)) {
            Ok(output) => output,
            Err(error) => panic!("{error}"),
        }
    }

    /// What [`Self::forward`] and [`Self::forward_residual`] return, or what is wrong with the arguments or the layer; then
    /// nothing was launched, and the running statistics are as they were.
    ///
    /// # Errors
    /// [`Error::Rank`] and [`Error::Channels`] for an input that is not `[batch, channels, ...]`; [`Error::Residual`]
    /// for a residual of another shape than the input; [`Error::Device`] for what is on another device than the input;
    /// [`Error::PerChannel`] and [`Error::Activation`] for a layer that is none.
    ///
    /// ```no_run
    /// use burn::tensor::{Device, DeviceKind, Tensor};
    /// use wgpu_batchnorm_burn::{BatchNormConfig, Error};
    ///
    /// let device = Device::wgpu(DeviceKind::DefaultDevice).autodiff();
    /// let layer = BatchNormConfig::new(64).init(&device);
    /// let error = layer.try_forward(Tensor::<4>::zeros([32, 3, 28, 28], &device), None).unwrap_err();
    /// assert_eq!(error, Error::Channels { got: vec![32, 3, 28, 28], needs: 64 });
    /// ```
    pub fn try_forward<const D: usize>(
        &self,
        input: Tensor<D>,
        residual: Option<Tensor<D>>,
    ) -> Result<Tensor<D>, Error> {
        let [channels] = self.gamma.shape().dims();
        let dims = input.dims();
        match dims.get(1) {
            None => return Err(Error::Rank { got: D }),
            Some(got) if *got != channels => {
                return Err(Error::Channels { got: dims.to_vec(), needs: channels });
            }
            Some(_) => {}
        }
        self.check_lengths(channels)?;
        if let Some(residual) = residual.as_ref().filter(|residual| residual.dims() != dims) {
            return Err(Error::Residual { got: residual.dims().to_vec(), needs: dims.to_vec() });
        }
        self.check_devices(&input, residual.as_ref())?;
        self.extras.activation.check().map_err(Error::Activation)?;
        // Quantized ones as numbers; others are left as they are.
        let input = input.dequantize();
        let residual = residual.map(|residual| own::of_type(residual.dequantize(), input.dtype()));
        let (gamma, beta) = (self.gamma.val().dequantize(), self.beta.val().dequantize());
        let (mode, layer) = (self.mode(&input), self.layer());
        let path = self.path_of(&input, residual.is_some());
        let numbers = own::Numbers { epsilon: self.epsilon, momentum: self.momentum };
        Ok(match (mode, path) {
            (Mode::Training, path) => {
                running::exchange(&self.running_mean, &self.running_var, &input.device(), |old| match path {
                    Path::Kernels => kernels::training(input, [gamma, beta], old, residual, layer),
                    Path::Burn(_) => own::training(input, [gamma, beta], old, residual, layer, numbers),
                })
            }
            (Mode::Inference, path) => {
                let device = input.device();
                let running = [&self.running_mean, &self.running_var]
                    .map(|state| state.value().to_device(&device).dequantize());
                match path {
                    Path::Kernels => kernels::inference(input, [gamma, beta], running, residual, layer),
                    Path::Burn(_) => own::inference(input, [gamma, beta], running, residual, layer, numbers),
                }
            }
        })
    }

    fn check_lengths(&self, needs: usize) -> Result<(), Error> {
        let lengths = [
            ("beta", self.beta.shape()),
            ("running_mean", self.running_mean.value().shape()),
            ("running_var", self.running_var.value().shape()),
        ];
        for (name, shape) in lengths {
            let [got] = shape.dims();
            if got != needs {
                return Err(Error::PerChannel { name, got, needs });
            }
        }
        Ok(())
    }

    /// Running statistics are moved to where the input is, as Burn does; the rest has to be there.
    fn check_devices<const D: usize>(
        &self,
        input: &Tensor<D>,
        residual: Option<&Tensor<D>>,
    ) -> Result<(), Error> {
        let needs = input.device();
        let given = [
            ("gamma", Some(self.gamma.device())),
            ("beta", Some(self.beta.device())),
            ("residual", residual.map(Tensor::device)),
        ];
        for (name, got) in given {
            // Equal is one compute resource, with autodiff or without.
            if let Some(got) = got.filter(|got| *got != needs) {
                return Err(Error::Device { name, got: got.into(), needs: needs.into() });
            }
        }
        Ok(())
    }

    /// Which implementation takes an input like this one; [`Path`] has an example.
    pub fn path<const D: usize>(&self, input: &Tensor<D>) -> Path {
        self.path_of(input, false)
    }

    fn path_of<const D: usize>(&self, input: &Tensor<D>, has_residual: bool) -> Path {
        let layer = crate::operation::with_residual(self.layer(), has_residual);
        Path::of(&input.device(), &input.dims(), input.dtype(), &layer, self.mode(input))
    }

    /// As Burn decides it: the device says that there may be a backward pass, the layer that it takes part.
    fn mode<const D: usize>(&self, input: &Tensor<D>) -> Mode {
        if input.device().is_autodiff() && self.training.is_enabled() {
            Mode::Training
        } else {
            Mode::Inference
        }
    }

    fn layer(&self) -> Layer {
        let Extras { activation, running_variance: Biased(variance), update } = self.extras;
        let running = RunningStatistics {
            momentum: Momentum::OfNew(self.momentum as f32),
            variance,
            update,
            target: RunningTarget::Fresh,
        };
        Layer { eps: self.epsilon as f32, activation, running: Some(running), ..Layer::default() }
    }
}

/// Takes over parameters, running statistics and all there is.
impl From<burn::nn::BatchNorm> for BatchNorm {
    fn from(layer: burn::nn::BatchNorm) -> Self {
        let burn::nn::BatchNorm { gamma, beta, training, running_mean, running_var, momentum, epsilon } =
            layer;
        let extras = Extras::default();
        Self { gamma, beta, training, running_mean, running_var, momentum, epsilon, extras }
    }
}

/// Gives back all that Burn's layer has. An activation and the options of the running statistics are left behind.
impl From<BatchNorm> for burn::nn::BatchNorm {
    fn from(layer: BatchNorm) -> Self {
        let BatchNorm { gamma, beta, training, running_mean, running_var, momentum, epsilon, .. } = layer;
        Self { gamma, beta, training, running_mean, running_var, momentum, epsilon }
    }
}

impl ModuleDisplay for BatchNorm {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new().with_new_line_after_attribute(false).optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let [num_features] = self.beta.shape().dims();
        let content = content
            .add("num_features", &num_features)
            .add("momentum", &self.momentum)
            .add("epsilon", &self.epsilon);
        let content = match self.extras.activation {
            Activation::Identity => content,
            activation => content.add_debug_attribute("activation", &activation),
        };
        if self.training.is_enabled() {
            content.optional()
        } else {
            content.add("training", &self.training).optional()
        }
    }
}
