//! Quantized tensors are the numbers they stand for.

use burn::module::Param;
use burn::tensor::Tensor;
use burn::tensor::quantization::QuantScheme;

use crate::case::{assert_close, layers, numbers, tensor, training_device, values};

#[test]
fn quantized_inputs_and_layers() {
    let device = training_device().inner();
    let (mut layer, _) = layers(32, &device);
    let scheme = QuantScheme::default();
    let x: Tensor<4> = tensor(&values(1, 4 * 32 * 8 * 8), [4, 32, 8, 8], &device);
    let (x, gamma) = (x.quantize_dynamic(&scheme), layer.gamma.val().quantize_dynamic(&scheme));
    layer.gamma = Param::from_tensor(gamma.clone().dequantize());
    let expected = numbers(layer.forward(x.clone().dequantize()));
    layer.gamma = Param::from_tensor(gamma);
    assert_close("y", &numbers(layer.forward(x)), &expected, 1e-6);
}
