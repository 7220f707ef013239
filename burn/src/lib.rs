//! Burn's batch norm by the kernels of wgpu-batchnorm.

pub use burn::nn::{BatchNorm, BatchNormConfig};
