//! [Burn](https://burn.dev)'s batch norm by the kernels of [`wgpu-batchnorm`](wgpu_batchnorm): the same module, a few launches
//! instead of 37 (or 18, with Burn's fusion), and right at any offset.
//!
//! # Use
//!
//! Swap the type, and nothing else:
//!
//! ```
//! // use burn::nn::{BatchNorm, BatchNormConfig};
//! use wgpu_batchnorm_burn::{BatchNorm, BatchNormConfig};
//! ```
//!
//! Fields, configuration, record, display, `freeze()` and `valid()` are those of [`burn::nn::BatchNorm`], and a record that one
//! has saved the other loads. A layer that is already there is converted, both ways, and so is a struct literal:
//!
//! ```no_run
//! # use burn::tensor::{Device, DeviceKind};
//! # let device = Device::wgpu(DeviceKind::DefaultDevice);
//! let burns = burn::nn::BatchNormConfig::new(64).init(&device);
//! let ours = wgpu_batchnorm_burn::BatchNorm::from(burns);
//! let burns = burn::nn::BatchNorm::from(ours);
//! ```
//!
//! # What Burn's has not
//!
//! `y = activation(gamma * x_hat + beta + residual)` in the same launches, with gradients by all of it:
//!
//! ```no_run
//! use burn::tensor::{Device, DeviceKind, Tensor};
//! use wgpu_batchnorm_burn::{Activation, BatchNormConfig, RunningVariance, Update};
//!
//! let device = Device::wgpu(DeviceKind::DefaultDevice).autodiff();
//! let layer = BatchNormConfig::new(64)
//!     .init(&device)
//!     .with_activation(Activation::Relu)
//!     .with_running_variance(RunningVariance::Unbiased) // PyTorch's; Burn's is the default
//!     .with_update(Update::IfLayerFinite); // a batch with a NaN does not spoil the average
//! let (input, shortcut) = (Tensor::<4>::zeros([8, 64, 14, 14], &device), Tensor::ones([8, 64, 14, 14], &device));
//! let output = layer.forward_residual(input, shortcut);
//! ```
//!
//! These are options of the layer in the program, not part of its record.
//!
//! # Where it runs
//!
//! On Burn's `wgpu` where it compiles WGSL (its features `wgpu` and `webgpu`), with and without fusion, under autodiff with and
//! without gradient checkpointing, in f32 and f16, on a device that Burn made or that the application shared (with the limits
//! and features of its adapter switched on: CubeCL takes them for granted). Everywhere
//! else (CUDA, CPU, the features `vulkan` and `metal`, other types, one value per channel) the layer is
//! Burn's own operations: the same answer. [`BatchNorm::path`] says which.
//!
//! Kernels read Burn's buffers and write into Burn's memory. Channels last, as convolutions leave their output, and any
//! other order without gaps, are taken as they lie, and the output lies likewise. Copied first are tensors with gaps, a residual
//! or gradient that lies unlike the input, and one tensor in two places of a layer; converted first, parameters and statistics
//! in f16, and a residual of another type than the input.
//!
//! This crate turns on Burn's `wgpu`, and Burn's `Device::default()` then is a wgpu device where it would have been a CPU: name
//! the device.
//!
//! # Features
//!
//! | feature | default | |
//! |---|---|---|
//! | `autotune` | off | Burn's, for the benchmark of this crate |
//! | `browser` | off | where Burn's random numbers come from on `wasm32-unknown-unknown`, if the application does not say so |
//! | `fusion` | on | has to be on exactly where Burn's `fusion` is, which is on by default as well |
//!
//! # Versions
//!
//! | wgpu-batchnorm-burn | Burn | Rust |
//! |---|---|---|
//! | 0.1 | 0.22 | 1.95 |

#![forbid(unsafe_code)]

mod autodiff;
mod call;
mod cube;
mod device;
mod error;
mod kernel;
mod kernels;
mod layout;
mod module;
mod operation;
mod own;
mod path;
mod plans;
mod running;

pub use error::Error;
pub use module::{BatchNorm, BatchNormConfig};
pub use path::{Path, Reason};
pub use wgpu_batchnorm;
pub use wgpu_batchnorm::{Activation, RunningVariance, Update};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
