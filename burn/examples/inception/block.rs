//! An inception module: four branches beside each other.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::pool::{AvgPool2d, AvgPool2dConfig, MaxPool2d, MaxPool2dConfig};
use burn::tensor::Tensor;

use crate::architecture::{self, Pool};
use crate::unit::{Between, Unit};
use crate::weights::Weights;

/// The branches of one row of figure 5.
#[derive(Module, Debug)]
pub struct Block {
    one: Option<Unit>,
    three: [Unit; 2],
    double: [Unit; 3],
    average: Option<AvgPool2d>,
    max: Option<MaxPool2d>,
    projection: Option<Unit>,
}

const MARGIN: PaddingConfig2d = PaddingConfig2d::Explicit(1, 1, 1, 1);

impl Block {
    pub fn new(
        weights: &mut Weights<'_>,
        between: Between,
        row: &architecture::Module,
        inputs: usize,
    ) -> Self {
        let mut unit = |channels, kernel, stride| Unit::new(weights, between, channels, kernel, stride);
        let stride = [row.stride, row.stride];
        let average = || AvgPool2dConfig::new([3, 3]).with_strides(stride).with_padding(MARGIN).init();
        let max = || MaxPool2dConfig::new([3, 3]).with_strides(stride).with_padding(MARGIN).init();
        Self {
            one: (row.one > 0).then(|| unit([inputs, row.one], 1, 1)),
            three: [
                unit([inputs, row.three_reduce], 1, 1),
                unit([row.three_reduce, row.three], 3, row.stride),
            ],
            double: [
                unit([inputs, row.double_reduce], 1, 1),
                unit([row.double_reduce, row.double], 3, 1),
                unit([row.double, row.double], 3, row.stride),
            ],
            average: (row.pool == Pool::Average).then(average),
            max: (row.pool == Pool::Max).then(max),
            projection: (row.projection > 0).then(|| unit([inputs, row.projection], 1, 1)),
        }
    }

    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let mut branches = Vec::new();
        if let Some(one) = &self.one {
            branches.push(one.forward(x.clone()));
        }
        branches.push(self.three.iter().fold(x.clone(), |x, unit| unit.forward(x)));
        branches.push(self.double.iter().fold(x.clone(), |x, unit| unit.forward(x)));
        let mut pooled = x;
        if let Some(average) = &self.average {
            pooled = average.forward(pooled);
        }
        if let Some(max) = &self.max {
            pooled = max.forward(pooled);
        }
        if let Some(projection) = &self.projection {
            pooled = projection.forward(pooled);
        }
        branches.push(pooled);
        Tensor::cat(branches, 1)
    }
}
