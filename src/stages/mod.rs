//! The stages of training and backward on their own, for a batch that is spread over several devices or calls.
//!
//! Forward: [`BatchMoments`] on each part, gather, [`MergeMoments`], [`Normalize`] on each part.
//! Backward: [`BatchGradientSums`] on each part, gather, [`MergeGradientSums`], [`InputGradient`] on each part.

mod backward;
mod forward;

pub use backward::{
    BatchGradientSums, BatchGradientSumsBuffers, InputGradient, InputGradientBuffers, MergeGradientSums,
    MergeGradientSumsBuffers,
};
pub use forward::{
    BatchMoments, BatchMomentsBuffers, MergeMoments, MergeMomentsBuffers, Normalize, NormalizeBuffers,
};
