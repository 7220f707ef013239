//! Local response normalization, which batch norm lets go of: Krizhevsky et al. 2012, section 3.3.

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};

/// `x / (K + ALPHA * sum of squares over NEIGHBOURS channels)^BETA`, with the constants of GoogLeNet's public replica
/// in Caffe. Its alpha of 1e-4 is for the mean over the window, as that of Burn's `LocalResponseNorm` is; this one is for
/// the sum.
const K: f32 = 1.0;
const ALPHA: f32 = 1e-4 / NEIGHBOURS as f32;
const BETA: f32 = 0.75;
const NEIGHBOURS: usize = 5;

/// The sum over neighbouring channels is a 1x1 convolution with a band of ones.
pub fn normalize(x: Tensor<4>) -> Tensor<4> {
    let channels = x.dims()[1];
    let band = band(channels, &x.device());
    let squares = conv2d(x.clone().square(), band, None, ConvOptions::new([1, 1], [0, 0], [1, 1], 1));
    x * squares.mul_scalar(ALPHA).add_scalar(K).powf_scalar(-BETA)
}

fn band(channels: usize, device: &Device) -> Tensor<4> {
    let near = |index: usize| (index / channels).abs_diff(index % channels) <= NEIGHBOURS / 2;
    let ones: Vec<f32> = (0..channels * channels).map(|index| f32::from(u8::from(near(index)))).collect();
    Tensor::from_data(TensorData::new(ones, [channels, channels, 1, 1]), device)
}
