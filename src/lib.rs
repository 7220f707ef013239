//! Batch normalization ([Ioffe & Szegedy 2015](https://arxiv.org/abs/1502.03167)) as GPU compute kernels in WGSL, on
//! [`wgpu`]: training, inference and backward, recorded into your encoder over your buffers.
//!
//! # Use
//!
//! 1. [`Context::new`] for your device, once. It needs no features, and no limits above WebGPU's defaults.
//! 2. A [`Shape`]: dimensions, channel axis, storage type. Any rank from 2, any axis.
//! 3. An operation, once per layer: [`Training`], [`Inference`], [`Backward`]. Creating it plans and compiles.
//! 4. `encode` or `record`, any number of times: it checks the buffers, then dispatches. It never submits, polls,
//!    maps or waits. [`read_back`] is the one function that does, and nothing else calls it.
//!
//! ```no_run
//! use wgpu_batchnorm::{Context, Dtype, Error, Shape, Training, TrainingBuffers, TrainingOptions, wgpu};
//!
//! fn forward(
//!     device: &wgpu::Device,
//!     encoder: &mut wgpu::CommandEncoder,
//!     buffers: &TrainingBuffers<'_>,
//! ) -> Result<(), Error> {
//!     let context = Context::new(device);
//!     let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?; // NCHW
//!     let layer = Training::new(&context, &shape, TrainingOptions::default())?; // PyTorch's defaults
//!     println!("{}", layer.plan());
//!     layer.encode(encoder, buffers)
//! }
//! ```
//!
//! A batch that is spread over several devices, or over several calls, goes through the stages: [`BatchMoments`],
//! [`MergeMoments`], [`Normalize`]; backward [`BatchGradientSums`], [`MergeGradientSums`], [`InputGradient`].
//!
//! # Conventions
//!
//! Where systems differ, the default is PyTorch's answer.
//!
//! | question | here | elsewhere |
//! |---|---|---|
//! | eps | inside the root, 1e-5; above 0 in training, at least 0 in inference | Keras 1e-3 |
//! | variance that normalizes | biased, divided by m | the same everywhere |
//! | variance that is averaged | unbiased, m / (m - 1) of it; [`RunningVariance::Biased`] by choice | biased in ONNX, Keras, Burn |
//! | momentum | weight of the new value, 0.1; see [`Training::set_momentum`] for a cumulative average | weight of the old value in TensorFlow, Keras, ONNX |
//! | one value per channel in training | [`Error::TooFewValues`] | the same in PyTorch |
//! | empty batch | running statistics stay; dgamma and dbeta are 0 | |
//! | NaN or infinity in a channel | that channel's y and running statistics are NaN, no other's | |
//! | storage | f32 or f16 tensors; parameters and statistics f32 | |
//!
//! # Numerics
//!
//! The mean is kept as two floats, a pivot and the difference from it, so that x - mean is exact for channels far from
//! zero; the variance is the sum of squared deviations from that mean, over blocks that are merged in a fixed order.
//! No atomics: the same input gives the same bits. The tests hold, for f32 at offsets from 0 to 1e6,
//! `|y - y64| <= 2e-6 (1 + max|gamma| max|x_hat|)` and
//! `|dx - dx64| <= 2e-6 max|gamma invstd| (1 + 1.5 max|dy|)` against the f64 [`reference`](mod@reference); results in
//! f16 are the f32 ones rounded once.
//!
//! # Errors
//!
//! Everything that can be wrong with a description or a buffer is an [`Error`] that names the argument, what it got and
//! what it needs, before anything is recorded. What wgpu does not let a library see is left to it: a buffer that
//! belongs to another device, is destroyed, or is still mapped when you submit.
//!
//! # Versions
//!
//! | wgpu-batchnorm | wgpu | Rust |
//! |---|---|---|
//! | 0.1 | 30 | 1.87 |
//!
//! wgpu is re-exported as [`wgpu`]. No backend is switched on here: that is the application's choice, by
//! its own dependency on wgpu.

#![forbid(unsafe_code)]

mod backward;
mod caps;
mod encode;
mod error;
mod inference;
mod kernel;
mod operation;
mod options;
mod pipeline;
mod plan;
mod readback;
pub mod reference;
mod role;
mod shader;
mod stages;
mod statistics;
mod tensor;
mod training;
pub mod verify;

pub use wgpu;

pub use backward::{Backward, BackwardBuffers};
pub use caps::Caps;
pub use error::Error;
pub use inference::{Inference, InferenceBuffers};
pub use kernel::{Kernel, Params, Sharing};
pub use options::{
    Affine, BackwardOptions, Gradients, InferenceOptions, RunningStatistics, RunningVariance, TrainingOptions,
};
pub use pipeline::Context;
pub use plan::{Access, Argument, Launch, MAX_SETS, Place, Plan, Strategy};
pub use readback::read_back;
pub use role::Role;
pub use shader::Binding;
pub use stages::{
    BatchGradientSums, BatchGradientSumsBuffers, BatchMoments, BatchMomentsBuffers, InputGradient,
    InputGradientBuffers, MergeGradientSums, MergeGradientSumsBuffers, MergeMoments, MergeMomentsBuffers,
    Normalize, NormalizeBuffers,
};
pub use statistics::{Gathered, GradientSums, Moments, SavedStatistics};
pub use tensor::{Dtype, Shape};
pub use training::{Training, TrainingBuffers};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
