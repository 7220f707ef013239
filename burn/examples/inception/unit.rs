//! A convolution with all that follows it before the next one.

use burn::module::Module;
use burn::nn::conv::Conv2d;
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
            convolution: weights.convolution(channels, kernel, stride, !normalize),
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
