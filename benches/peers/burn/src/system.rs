//! What both systems can do, as the stopwatch sees it.

use std::error::Error;

use crate::problem::Operation;

/// A batch norm on the shared device. It has several sets of tensors with the same values, so that operations can
/// take turns on more memory than a cache holds.
pub trait System {
    fn name(&self) -> &'static str;

    /// Hands one operation on a set of tensors to the GPU: when this returns, it is submitted. Its results stay.
    fn submit(&mut self, operation: Operation, set: usize) -> Result<(), Box<dyn Error>>;

    /// The results of the last operation of this kind on a set. Waits for them.
    fn results(&mut self, operation: Operation, set: usize) -> Result<Vec<Vec<f32>>, Box<dyn Error>>;
}
