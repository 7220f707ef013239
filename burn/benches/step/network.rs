//! The network: two convolutions with a batch norm and a ReLU each, average pooling, a linear layer, and SGD.

use burn::module::{Module, ModuleDisplay, ModuleMapper, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::options::Options;

const CLASSES: usize = 10;
const LEARNING_RATE: f64 = 0.05;

/// What stands between a convolution and its ReLU.
pub trait Norm: Module + ModuleDisplay {
    fn new(channels: usize, device: &Device) -> Self;
    fn forward(&self, input: Tensor<4>) -> Tensor<4>;
}

impl Norm for wgpu_batchnorm_burn::BatchNorm {
    fn new(channels: usize, device: &Device) -> Self {
        wgpu_batchnorm_burn::BatchNormConfig::new(channels).init(device)
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.forward(input)
    }
}

impl Norm for burn::nn::BatchNorm {
    fn new(channels: usize, device: &Device) -> Self {
        burn::nn::BatchNormConfig::new(channels).init(device)
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.forward(input)
    }
}

/// Nothing: what the rest of the step takes.
#[derive(Module, Debug)]
pub struct Without {
    channels: usize,
}

impl Norm for Without {
    fn new(channels: usize, _: &Device) -> Self {
        Self { channels }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        input
    }
}

#[derive(Module, Debug)]
struct Network<N> {
    first: Conv2d,
    first_norm: N,
    second: Conv2d,
    second_norm: N,
    pool: AdaptiveAvgPool2d,
    linear: Linear,
}

impl<N: Norm> Network<N> {
    fn new(channels: usize, device: &Device) -> Self {
        let convolution = |from, to| {
            let padding = PaddingConfig2d::Explicit(1, 1, 1, 1);
            Conv2dConfig::new([from, to], [3, 3]).with_padding(padding).with_bias(false).init(device)
        };
        Self {
            first: convolution(3, channels),
            first_norm: N::new(channels, device),
            second: convolution(channels, 2 * channels),
            second_norm: N::new(2 * channels, device),
            pool: AdaptiveAvgPool2dConfig::new([1, 1]).init(),
            linear: LinearConfig::new(2 * channels, CLASSES).with_bias(false).init(device),
        }
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = relu(self.first_norm.forward(self.first.forward(images)));
        let x = relu(self.second_norm.forward(self.second.forward(x)));
        self.linear.forward(self.pool.forward(x).flatten(1, 3))
    }
}

/// A network in training, whatever its norm.
pub trait Training {
    /// One step; the loss before it, which nobody waits for.
    fn step(&mut self) -> Tensor<1>;
}

struct Trainer<N: Norm> {
    network: Option<Network<N>>,
    optimizer: ModuleOptimizer,
    images: Tensor<4>,
    labels: Tensor<1, Int>,
}

/// A network on a batch that stays the same; all networks begin with the same numbers.
pub fn training<N: Norm + 'static>(device: &Device, options: &Options) -> Box<dyn Training> {
    let mut numbers = Numbers(1);
    let network = Network::<N>::new(options.channels, device).map(&mut numbers);
    let dims = [options.batch, 3, options.size, options.size];
    let images = numbers.tensor(dims, 1.0, device);
    let labels: Vec<i32> = (0..options.batch).map(|image| (image % CLASSES) as i32).collect();
    let labels = Tensor::from_ints(labels.as_slice(), device);
    let optimizer = SgdConfig::new().init();
    Box::new(Trainer { network: Some(network), optimizer, images, labels })
}

/// Made here and not by Burn's generator: its order depends on what is looked at first.
struct Numbers(u64);

impl Numbers {
    fn tensor<const D: usize>(&mut self, dims: [usize; D], scale: f32, device: &Device) -> Tensor<D> {
        let values: Vec<f32> = (0..dims.iter().product()).map(|_| scale * self.next()).collect();
        Tensor::from_data(TensorData::new(values, dims), device)
    }

    /// Evenly spread, of standard deviation 1.
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * 3f32.sqrt()
    }
}

impl ModuleMapper for Numbers {
    /// Weights by He et al. 2015; what is per channel stays.
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if D < 2 {
            return param;
        }
        param.map(|weight| {
            let dims = weight.dims();
            // A linear layer's weight is [inputs, outputs], a convolution's [outputs, inputs, height, width].
            let inputs: usize = if D == 2 { dims[0] } else { dims.iter().skip(1).product() };
            self.tensor(dims, (2.0 / inputs as f32).sqrt(), &weight.device()).require_grad()
        })
    }
}

impl<N: Norm> Training for Trainer<N> {
    fn step(&mut self) -> Tensor<1> {
        let network = self.network.take().expect("each step puts one back");
        let loss = CrossEntropyLossConfig::new()
            .init(&self.images.device())
            .forward(network.forward(self.images.clone()), self.labels.clone());
        let grads = GradientsParams::from_grads(loss.backward(), &network);
        self.network = Some(self.optimizer.step(LEARNING_RATE, network, grads));
        loss
    }
}
