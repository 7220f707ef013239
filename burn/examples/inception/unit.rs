//! A convolution with all that follows it before the next one.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::Tensor;
use burn::tensor::activation::{relu, sigmoid};
use wgpu_batchnorm_burn::{BatchNorm, BatchNormConfig};

use crate::weights::Weights;

/// What stands between convolutions.
#[derive(Clone, Copy, Debug)]
pub struct Between {
    pub normalize: bool,
    pub sigmoid: bool,
}

/// `g(BN(Wu))`, or `g(Wu + b)` without batch norm.
#[derive(Module, Debug)]
pub struct Unit {
    convolution: Conv2d,
    norm: Option<BatchNorm>,
    sigmoid: bool,
}

impl Unit {
    pub fn new(
        weights: &mut Weights<'_>,
        between: Between,
        channels: [usize; 2],
        kernel: usize,
        stride: usize,
    ) -> Self {
        let Between { normalize, sigmoid } = between;
        Self {
            // The mean takes a bias out again: beta stands for it (section 3.2 of the paper).
            convolution: convolution(weights, channels, kernel, stride, !normalize),
            norm: normalize.then(|| BatchNormConfig::new(channels[1]).init(weights.device)),
            sigmoid,
        }
    }

    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.convolution.forward(x);
        let x = match &self.norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        if self.sigmoid { sigmoid(x) } else { relu(x) }
    }
}

/// A square kernel that keeps the extent, but for the stride. Gaussian of variance 2 / inputs, which keeps the size of
/// activations from layer to layer through ReLUs (He et al. 2015): the network without batch norm gets the best start
/// that is known. The outputs of the one with it do not depend on the scale; how far a step turns its weights does.
fn convolution(
    weights: &mut Weights<'_>,
    channels: [usize; 2],
    kernel: usize,
    stride: usize,
    bias: bool,
) -> Conv2d {
    let margin = kernel / 2;
    let mut layer = Conv2dConfig::new(channels, [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(margin, margin, margin, margin))
        .with_bias(bias)
        .init(weights.device);
    let inputs = channels[0] * kernel * kernel;
    layer.weight = weights.gaussian([channels[1], channels[0], kernel, kernel], (2.0 / inputs as f32).sqrt());
    layer.bias = bias.then(|| weights.zeros(channels[1]));
    layer
}
