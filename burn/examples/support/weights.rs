//! Weights that follow from the seed alone, whatever the device.

use burn::module::Param;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor, TensorData};

use crate::random::Random;

/// What a layer gets its weights from.
#[derive(Debug)]
pub struct Weights<'a> {
    pub device: &'a Device,
    pub random: Random,
}

impl Weights<'_> {
    /// A square kernel that keeps the extent, but for the stride. Gaussian of variance 2 / inputs, which keeps the size
    /// of activations from layer to layer through ReLUs (He et al. 2015): the network without batch norm gets the best
    /// start that is known, and to the one with it the scale makes no difference.
    pub fn convolution(&mut self, channels: [usize; 2], kernel: usize, stride: usize, bias: bool) -> Conv2d {
        let margin = kernel / 2;
        let mut layer = Conv2dConfig::new(channels, [kernel, kernel])
            .with_stride([stride, stride])
            .with_padding(PaddingConfig2d::Explicit(margin, margin, margin, margin))
            .with_bias(bias)
            .init(self.device);
        let inputs = channels[0] * kernel * kernel;
        layer.weight =
            self.gaussian([channels[1], channels[0], kernel, kernel], (2.0 / inputs as f32).sqrt());
        layer.bias = bias.then(|| self.zeros(channels[1]));
        layer
    }

    /// Gaussian of the given standard deviation.
    pub fn linear(&mut self, [inputs, outputs]: [usize; 2], deviation: f32, bias: bool) -> Linear {
        let mut layer = LinearConfig::new(inputs, outputs).with_bias(bias).init(self.device);
        layer.weight = self.gaussian([inputs, outputs], deviation);
        layer.bias = bias.then(|| self.zeros(outputs));
        layer
    }

    fn gaussian<const D: usize>(&mut self, shape: [usize; D], deviation: f32) -> Param<Tensor<D>> {
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| deviation * self.random.normal()).collect();
        Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), self.device))
    }

    fn zeros(&self, count: usize) -> Param<Tensor<1>> {
        Param::from_tensor(Tensor::zeros([count], self.device))
    }
}
