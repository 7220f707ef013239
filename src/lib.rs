//! Batch normalization ([Ioffe & Szegedy 2015](https://arxiv.org/abs/1502.03167)) as GPU compute kernels in WGSL, on
//! [`wgpu`]: training, inference and backward, recorded into your encoder over your buffers.
//!
//! # Use
//!
//! 1. [`Context::new`] for your device, once. It needs no features, and no limits above WebGPU's defaults.
//! 2. A [`Shape`]: dimensions, channel axis, storage type. Any rank from 2, any axis.
//! 3. An operation, once per layer: [`Training`], [`Inference`], [`Backward`]; [`FrozenBackward`] for a layer whose
//!    statistics are frozen. Creating it plans and compiles. Layers of the same kind share their pipelines; shapes are
//!    parameters. [`Layer`] describes all of them at once.
//! 4. `encode` into an encoder, or `record` into a compute pass, any number of times: it checks the buffers, then
//!    dispatches. It never submits, polls, maps or waits. [`read_back`] is the one function that does, and nothing
//!    else calls it.
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
//! # A whole layer
//!
//! `y = activation(gamma * x_hat + beta + residual)`. [`Layer`] says which of it there is, and each pass takes its options
//! from there:
//!
//! ```
//! use wgpu_batchnorm::{
//!     Activation, Caps, Dtype, Gradients, Layer, Momentum, Plan, Residual, RunningStatistics, Shape, Update,
//! };
//!
//! // The end of a residual block, with an average that no NaN gets into.
//! let layer = Layer {
//!     activation: Activation::Relu,
//!     residual: Residual::Added,
//!     running: Some(RunningStatistics {
//!         momentum: Momentum::OfOld(0.9),
//!         update: Update::IfLayerFinite,
//!         ..Default::default()
//!     }),
//!     ..Layer::default()
//! };
//! let gradients = Gradients { dresidual: true, ..Gradients::default() };
//! let (shape, caps) = (Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?, Caps::WEBGPU);
//! let [training, backward] = [
//!     Plan::training(&shape, &layer.training(), &caps)?,
//!     Plan::backward(&shape, &layer.backward(gradients), &caps)?,
//! ];
//! // Four tensors forward: x, x again, residual, y. On its own the ReLU would be three more.
//! assert_eq!((training.passes(), backward.passes()), (4, 7));
//! # Ok::<(), wgpu_batchnorm::Error>(())
//! ```
//!
//! | for | there is |
//! |---|---|
//! | frozen layers | [`FrozenBackward`] |
//! | gradients of some things only | [`Gradients`] |
//! | averages by other conventions, of good batches only, to fresh buffers | [`RunningStatistics`] |
//! | an update apart from the forward pass, as activation checkpointing needs it | [`RunningUpdate`] |
//! | y over x, dx over dy | the same buffer for both |
//! | a layer that is only inferred from | [`Fold`] into the convolution or linear layer before it |
//! | layers of other systems | [`Convention`], [`BatchNormState`] |
//!
//! # Buffers
//!
//! | buffer | bytes for a shape |
//! |---|---|
//! | `x`, `y`, `dy`, `dx`, `residual`, `dresidual` | [`Shape::size_in_bytes`] |
//! | `gamma`, `beta`, `running_mean`, `running_var`, `new_running_mean`, `new_running_var`, `dgamma`, `dbeta` | `4 * channels`, f32 |
//! | `counters` | [`RunningCounters::SIZE`] for each channel |
//! | `saved` | [`SavedStatistics::SIZE`] for each channel, from the forward to the backward pass |
//! | `workspace` | `workspace_size()` of the operation; its content matters to nobody afterwards |
//!
//! Each is a [`wgpu::BufferBinding`]: a buffer, an offset that the device's alignment allows, a size. One that is larger
//! than needed is used up to what is needed, and only that counts for the rules: what an operation writes overlaps
//! nothing else of it, but that y may lie exactly over x, and dx over dy. What it only reads may overlap, unless one dispatch reads and writes parts of the same buffer:
//! wgpu wants all its bindings writable then, and they must not overlap ([`Error::InputsOverlap`]). The kernels of
//! that case are another variant, compiled by the first recording that needs it, or ahead of it by `prepare`. Tensors of
//! an empty batch are not looked at.
//!
//! A host that sub-allocates finds what an operation needs, buffer by buffer, in its plan:
//!
//! ```
//! use wgpu_batchnorm::{Caps, Dtype, Plan, Shape, TrainingOptions};
//!
//! let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F16)?;
//! let caps = Caps::WEBGPU; // of a device: context.caps()
//! let plan = Plan::training(&shape, &TrainingOptions::default(), &caps)?;
//! let mut end = 0;
//! for argument in plan.arguments() {
//!     let offset = end;
//!     end = (offset + argument.bytes).next_multiple_of(caps.offset_alignment.into());
//!     println!("{:<12} at {offset}, {} bytes", argument.role.name(), argument.bytes);
//! }
//! # Ok::<(), wgpu_batchnorm::Error>(())
//! ```
//!
//! # A batch in parts
//!
//! A batch that is spread over several devices, or over several calls, goes through the stages. `C` is the number of
//! channels:
//!
//! | step | on | gives |
//! |---|---|---|
//! | [`BatchMoments`] | each part's x | [`Moments`], `16 C` bytes to gather |
//! | [`MergeMoments`] | the moments of all parts, [`Gathered`] | saved statistics of the whole; running ones updated |
//! | [`Normalize`] | each part's x | that part's y |
//! | [`BatchGradientSums`] | each part's x and dy | [`GradientSums`], `12 C` bytes to gather |
//! | [`MergeGradientSums`] | the sums of all parts | sums of the whole; **dgamma and dbeta of the whole batch** |
//! | [`InputGradient`] | each part's x and dy | that part's dx |
//!
//! The stages are those of a layer that ends with beta: a residual and an activation are the caller's. Running statistics with
//! counters or fresh buffers take a [`RunningUpdate`] after the merge.
//!
//! Devices of one kind that merge the same sets in the same order get the same statistics, to the bit. dgamma and dbeta are whole
//! after the merge: an all-reduce that adds up gradients must leave them out, or count each once. dy belongs to the
//! loss of the whole batch. The result agrees with the undivided operation to rounding, not in bits.
//!
//! # Without a GPU
//!
//! The module `cpu` has training, inference and backward of layers that end with beta, and folding, as functions over
//! slices, on all cores, with the same conventions, errors and bounds; the rest is refused there by name. It comes with the cargo feature `cpu`, which is on by default and brings rayon and pulp.
//! What one side saved of the forward pass, the other can take for its backward pass.
//!
//! # Conventions
//!
//! Where systems differ, the default is PyTorch's answer. [`Convention`] has those of ONNX, Keras, TensorFlow and Burn by
//! their names, and reads eps and momentum as each writes them.
//!
//! | question | here | elsewhere |
//! |---|---|---|
//! | eps | inside the root, 1e-5; at least 1.18e-38 in training, at least 0 in inference | Keras 1e-3 |
//! | variance that normalizes | biased, divided by m | the same everywhere |
//! | variance that is averaged | unbiased, m / (m - 1) of it; [`RunningVariance::Biased`] by choice | biased in ONNX, Keras, Burn |
//! | momentum | weight of the new value, 0.1; [`Momentum`] has the weight of the old one, and the cumulative average | weight of the old value in Keras, ONNX |
//! | one value per channel in training | [`Error::TooFewValues`] | the same in PyTorch |
//! | empty batch | running statistics stay; dgamma and dbeta are 0 | |
//! | NaN or infinity in a channel | that channel's y and running variance are NaN, its running mean NaN or the infinity; no other channel's | |
//! | storage | f32 or f16 tensors; parameters and statistics f32 | |
//!
//! # Checkpoints
//!
//! [`BatchNormState`] is what a layer knows from its training, under the names that PyTorch gives it. The cargo feature
//! `safetensors`, which is off by default, reads it from files in that format and writes it to them. The
//! [example](BatchNormState#examples) goes from a file to a result.
//!
//! # Numerics
//!
//! The mean is kept as two floats, a pivot and the difference from it, so that x - mean is exact for channels far from
//! zero; the variance is the sum of squared deviations from that mean, over blocks that are merged in a fixed order.
//! No atomics: on one device, the same plan makes the same bits of the same input. The tests hold, for f32 at offsets
//! from 0 to 1e6, against the f64 [`reference`](mod@reference):
//!
//! - `|y - y64| <= 2e-6 (1 + max|gamma| max|x_hat|)`;
//! - `|dx - dx64| <= 2e-6 max|gamma invstd| (1 + 1.5 max|dy|)`, and beside an outlier, where the projection on x_hat is
//!   larger than dy, 2e-6 of that;
//! - dgamma and dbeta within 2e-5 of their largest, and where their sums cancel, as for a constant dy, within rounding
//!   of their terms;
//! - results in f16 are computed in f32 and rounded once, to nearest even.
//!
//! Deviations are summed in f32: values of 1e32 and more may overflow their sum, which makes the channel NaN.
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
//! | 0.1 | 30 | 1.89 |
//!
//! wgpu is re-exported as [`wgpu`]. No backend is switched on here: that is the application's choice, by
//! its own dependency on wgpu. With the feature `safetensors` that crate, 0.8, is re-exported as well, without its `std`:
//! its `serialize_to_file` takes a dependency of the application's own.

#![deny(unsafe_code)]
#![cfg_attr(not(feature = "cpu"), forbid(unsafe_code))]

mod activation;
mod backward;
mod caps;
mod convention;
#[cfg(feature = "cpu")]
pub mod cpu;
mod encode;
mod error;
mod fold;
mod frozen_backward;
mod inference;
mod kernel;
mod operation;
mod options;
mod pipeline;
mod plan;
mod readback;
pub mod reference;
mod role;
mod running;
mod running_update;
mod shader;
mod stages;
mod state;
mod statistics;
mod tensor;
mod training;
pub mod verify;

#[cfg(feature = "safetensors")]
pub use safetensors;
pub use wgpu;

pub use activation::Activation;
pub use backward::{Backward, BackwardBuffers};
pub use caps::Caps;
pub use convention::Convention;
pub use error::Error;
pub use fold::{Fold, FoldBuffers};
pub use frozen_backward::{FrozenBackward, FrozenBackwardBuffers};
pub use inference::{Inference, InferenceBuffers};
pub use kernel::{Kernel, Overwriting, Params, Sharing};
pub use options::{
    Affine, BackwardOptions, FoldOptions, FrozenBackwardOptions, Gradients, InferenceOptions, Layer,
    Residual, TrainingOptions,
};
pub use pipeline::Context;
pub use plan::{Access, Argument, Launch, MAX_SETS, Place, Plan, Strategy};
pub use readback::read_back;
pub use role::Role;
pub use running::{Momentum, RunningCounters, RunningStatistics, RunningTarget, RunningVariance, Update};
pub use running_update::{RunningUpdate, RunningUpdateBuffers};
pub use shader::Binding;
pub use stages::{
    BatchGradientSums, BatchGradientSumsBuffers, BatchMoments, BatchMomentsBuffers, InputGradient,
    InputGradientBuffers, MergeGradientSums, MergeGradientSumsBuffers, MergeMoments, MergeMomentsBuffers,
    Normalize, NormalizeBuffers,
};
pub use state::BatchNormState;
#[cfg(feature = "safetensors")]
pub use state::StateTensor;
pub use statistics::{Gathered, GradientSums, Moments, SavedStatistics};
pub use tensor::{Dtype, Shape};
pub use training::{Training, TrainingBuffers};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
