//! Tensors between f64 and the bytes of their storage.

use wgpu_batchnorm::Dtype;

/// The bytes of a tensor, rounded to its storage type.
pub fn encode(dtype: Dtype, values: &[f64]) -> Vec<u8> {
    match dtype {
        Dtype::F32 => values.iter().flat_map(|&value| (value as f32).to_le_bytes()).collect(),
        Dtype::F16 => values.iter().flat_map(|&value| half::f16::from_f64(value).to_le_bytes()).collect(),
    }
}

/// The values in the bytes of a tensor.
pub fn decode(dtype: Dtype, bytes: &[u8]) -> Vec<f64> {
    match dtype {
        Dtype::F32 => {
            let words = bytes.chunks_exact(4).map(|word| [word[0], word[1], word[2], word[3]]);
            words.map(|word| f64::from(f32::from_le_bytes(word))).collect()
        }
        Dtype::F16 => {
            let halves = bytes.chunks_exact(2).map(|half| [half[0], half[1]]);
            halves.map(|half| half::f16::from_le_bytes(half).to_f64()).collect()
        }
    }
}
