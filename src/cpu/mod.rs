//! Batch normalization on the CPU: the operations of this crate over slices, on all cores, in vectors.
//!
//! The words are those of the GPU's operations, [`Shape`](crate::Shape), the options and
//! [`SavedStatistics`](crate::SavedStatistics), and so are the answers: conventions, errors, NaN, empty batches,
//! bounds of exactness. What one side saved, the other can take for its backward pass.
//!
//! | GPU | CPU |
//! |---|---|
//! | [`Training`](crate::Training) | [`training`] |
//! | [`Inference`](crate::Inference) | [`inference`] |
//! | [`Backward`](crate::Backward) | [`backward`] |
//! | [`Fold`](crate::Fold) | [`fold`] |
//!
//! Work is shared out over the threads of the current [rayon](https://docs.rs/rayon) pool, by the shape alone: the
//! number of threads changes no bit of a result. A tensor of less than 32 768 values stays on the calling thread.
//! After a call the pool's threads look for more work for some 100 microseconds, whosever it is, before they sleep.
//! Vectors are those of AVX2 where the processor has it, and of AVX-512 for f16, found at run time, of NEON on 64-bit ARM, and
//! of what the target has elsewhere, by the crate [pulp](https://docs.rs/pulp). The memory allocated is a small part of
//! the tensor's size, and a few numbers per channel.
//!
//! # Numerics
//!
//! The bounds are those of the [front page](crate#numerics). A block of at most 4096 values of a channel (256 where
//! channels lie side by side) is summed in f32 lanes, about a pivot close to the block's mean: where the mean turns
//! out to lie far from it, the block is summed again about that mean. Blocks are added up in f64. The mean is saved as
//! two floats. Where values are so large that the f32 sums overflow, the channel is summed in f64.
//!
//! The module is there with the cargo feature `cpu`, which is on by default.

mod arguments;
mod backward;
mod cache;
mod columns;
mod crew;
mod division;
mod element;
mod fold;
mod halves;
mod halves_outputs;
mod halves_sums;
#[cfg(target_arch = "x86_64")]
mod halves_x86;
mod inference;
mod matrix;
mod moments;
mod output;
mod parameters;
mod planes;
mod runs;
mod training;

pub use backward::{BackwardSlices, backward};
pub use element::Element;
pub use fold::{FoldSlices, fold};
pub use inference::{InferenceSlices, inference};
pub use training::{TrainingSlices, training};
