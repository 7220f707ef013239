//! Batch normalization (Ioffe & Szegedy 2015) as GPU compute kernels in WGSL, on [`wgpu`].

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
pub use statistics::{GradientSums, Moments, SavedStatistics};
pub use tensor::{Dtype, Shape};
pub use training::{Training, TrainingBuffers};
