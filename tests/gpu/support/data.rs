//! Test data: a seeded generator, and tensors as bytes.

use wgpu_batchnorm::{Dtype, Shape};

/// SplitMix64 (Steele, Lea & Flood 2014).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between 0 and 1.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Standard normal, by Box and Muller.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (2.0 * std::f64::consts::PI * self.uniform()).cos()
    }

    pub fn normals(&mut self, len: usize, mean: f64, std: f64) -> Vec<f64> {
        (0..len).map(|_| mean + std * self.normal()).collect()
    }
}

/// The bytes of a tensor.
pub fn encode(dtype: Dtype, values: &[f64]) -> Vec<u8> {
    match dtype {
        Dtype::F32 => values.iter().flat_map(|&value| (value as f32).to_ne_bytes()).collect(),
        Dtype::F16 => values.iter().flat_map(|&value| half::f16::from_f64(value).to_ne_bytes()).collect(),
    }
}

/// The values of a tensor, from whole words.
pub fn decode(shape: &Shape, words: &[u32]) -> Vec<f64> {
    let mut values: Vec<f64> = match shape.dtype() {
        Dtype::F32 => words.iter().map(|&word| f64::from(f32::from_bits(word))).collect(),
        Dtype::F16 => {
            let halves = words.iter().flat_map(|&word| [word as u16, (word >> 16) as u16]);
            halves.map(|bits| half::f16::from_bits(bits).to_f64()).collect()
        }
    };
    values.truncate(shape.len() as usize);
    values
}
