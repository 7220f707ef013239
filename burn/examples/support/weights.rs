//! Weights that follow from the seed alone, whatever the device.

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};

use crate::random::Random;

/// What a layer gets its weights from.
#[derive(Debug)]
pub struct Weights<'a> {
    pub device: &'a Device,
    pub random: Random,
}

impl Weights<'_> {
    /// Gaussian of the given standard deviation.
    pub fn linear(&mut self, [inputs, outputs]: [usize; 2], deviation: f32, bias: bool) -> Linear {
        let mut layer = LinearConfig::new(inputs, outputs).with_bias(bias).init(self.device);
        layer.weight = self.gaussian([inputs, outputs], deviation);
        layer.bias = bias.then(|| self.zeros(outputs));
        layer
    }

    pub fn gaussian<const D: usize>(&mut self, shape: [usize; D], deviation: f32) -> Param<Tensor<D>> {
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| deviation * self.random.normal()).collect();
        Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), self.device))
    }

    pub fn zeros(&self, count: usize) -> Param<Tensor<1>> {
        Param::from_tensor(Tensor::zeros([count], self.device))
    }
}
