//! The whole network: a stem, inception modules, an average over what is left of the image, a linear layer.

use burn::module::Module;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, PaddingConfig2d};
use burn::tensor::Tensor;

use crate::architecture::Architecture;
use crate::block::Block;
use crate::data::images::{CLASSES, Images};
use crate::response;
use crate::unit::{Between, Unit};
use crate::weights::Weights;

/// The first convolution is 3x3 with stride 2, and one max pooling follows it: images of 28 or 32 pixels are halved
/// twice before the first module. Images of 224, in the paper, are halved three times, by a 7x7 convolution and two
/// poolings.
#[derive(Module, Debug)]
pub struct Network {
    stem: [Unit; 3],
    pool: MaxPool2d,
    blocks: Vec<Block>,
    classifier: Linear,
    respond: bool,
}

/// Scores begin near 0, so that the first gradients, which at the highest rate are the largest steps of all, are small.
const SCORES: f32 = 1e-3;

impl Network {
    pub fn new(
        weights: &mut Weights<'_>,
        architecture: &Architecture,
        between: Between,
        respond: bool,
        images: &Images,
    ) -> Self {
        let [first, reduce, second] = architecture.stem;
        let stem = [
            Unit::new(weights, between, [images.channels, first], 3, 2),
            Unit::new(weights, between, [first, reduce], 1, 1),
            Unit::new(weights, between, [reduce, second], 3, 1),
        ];
        let margin = PaddingConfig2d::Explicit(1, 1, 1, 1);
        let pool = MaxPool2dConfig::new([3, 3]).with_strides([2, 2]).with_padding(margin).init();
        let mut channels = second;
        let blocks = architecture.modules.iter().map(|row| {
            let block = Block::new(weights, between, row, channels);
            channels = row.outputs(channels);
            block
        });
        let blocks = blocks.collect();
        Self { stem, pool, blocks, classifier: weights.linear([channels, CLASSES], SCORES, true), respond }
    }

    /// What enters the linear layer.
    pub fn features(&self) -> usize {
        self.classifier.weight.dims()[0]
    }

    /// Scores of the classes. `kept` scales each feature: 0 where dropout takes it away.
    pub fn forward(&self, images: Tensor<4>, kept: Option<Tensor<2>>) -> Tensor<2> {
        let [first, reduce, second] = &self.stem;
        // Where GoogLeNet has it: after the first convolution, and after the second.
        let respond = |x| if self.respond { response::normalize(x) } else { x };
        let x = respond(self.pool.forward(first.forward(images)));
        let x = respond(second.forward(reduce.forward(x)));
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        let [count, channels, height, width] = x.dims();
        let x = x.reshape([count, channels, height * width]).mean_dim(2).reshape([count, channels]);
        let x = match kept {
            Some(kept) => x * kept,
            None => x,
        };
        self.classifier.forward(x)
    }
}
