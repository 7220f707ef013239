//! The activation of a case, and the numbers that it takes.

use wgpu_batchnorm::Activation;

use crate::metadata::{number, wrong};
use crate::tensors::File;

const NAMES: &str = "identity, relu, relu6, leaky_relu, clamp, sigmoid, tanh, silu or gelu";

/// Whether the numbers are in order is for the library to say.
pub fn activation(file: &File) -> Result<Activation, String> {
    let get = |key: &str| file.metadata.get(key).map(String::as_str);
    let name = get("activation").unwrap_or("identity");
    let (takes, activation): (&[&str], Activation) = match name {
        "identity" => (&[], Activation::Identity),
        "relu" => (&[], Activation::Relu),
        "relu6" => (&[], Activation::RELU6),
        "leaky_relu" => {
            let alpha = get("alpha").map_or(Ok(0.01), |text| number("alpha", text, "a number"))?;
            (&["alpha"], Activation::LeakyRelu { alpha: alpha as f32 })
        }
        "clamp" => {
            let end = |key: &str| match get(key) {
                Some(text) => number(key, text, "a number").map(|value| value as f32),
                None => Err(wrong(key, None, "a number with activation clamp")),
            };
            (&["lo", "hi"], Activation::Clamp { lo: end("lo")?, hi: end("hi")? })
        }
        "sigmoid" => (&[], Activation::Sigmoid),
        "tanh" => (&[], Activation::Tanh),
        "silu" => (&[], Activation::Silu),
        "gelu" => (&[], Activation::Gelu),
        got => return Err(wrong("activation", Some(got), NAMES)),
    };
    for (key, owner) in [("alpha", "leaky_relu"), ("lo", "clamp"), ("hi", "clamp")] {
        if get(key).is_some() && !takes.contains(&key) {
            return Err(format!("metadata {key}: is given with activation {name}, needs activation {owner}"));
        }
    }
    Ok(activation)
}
