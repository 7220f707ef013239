//! The network of section 4.1: three hidden layers of 100 sigmoid units.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;
use wgpu_batchnorm_burn::{BatchNorm, BatchNormConfig};

use crate::data::images::CLASSES;
use crate::weights::Weights;

pub const LAYERS: usize = 3;
pub const UNITS: usize = 100;

/// "Small random Gaussian values" is what the paper says. With this much the inputs of the second and third sigmoid
/// begin with a deviation near 0.5, where it is all but linear.
const DEVIATION: f32 = 0.1;

/// `sigmoid(BN(Wu))`, or `sigmoid(Wu + b)`.
#[derive(Module, Debug)]
struct Layer {
    linear: Linear,
    norm: Option<BatchNorm>,
}

/// The hidden layers, and the linear one that scores the classes.
#[derive(Module, Debug)]
pub struct Network {
    layers: Vec<Layer>,
    classifier: Linear,
}

/// What a batch of images becomes.
#[derive(Debug)]
pub struct Output {
    /// The inputs of the sigmoids of the last hidden layer.
    pub last_inputs: Tensor<2>,
    pub scores: Tensor<2>,
}

impl Network {
    pub fn new(weights: &mut Weights<'_>, pixels: usize, normalize: bool) -> Self {
        let layers = (0..LAYERS).map(|layer| Layer {
            // The mean takes a bias out again: beta stands for it (section 3.2 of the paper).
            linear: weights.linear([if layer == 0 { pixels } else { UNITS }, UNITS], DEVIATION, !normalize),
            norm: normalize.then(|| BatchNormConfig::new(UNITS).init(weights.device)),
        });
        let layers = layers.collect();
        Self { layers, classifier: weights.linear([UNITS, CLASSES], DEVIATION, true) }
    }

    pub fn forward(&self, images: Tensor<2>) -> Output {
        let (mut x, mut last_inputs) = (images.clone(), images);
        for Layer { linear, norm } in &self.layers {
            last_inputs = linear.forward(x);
            if let Some(norm) = norm {
                last_inputs = norm.forward(last_inputs);
            }
            x = sigmoid(last_inputs.clone());
        }
        Output { last_inputs, scores: self.classifier.forward(x) }
    }
}
