//! Whether the slices given are those that the options call for, found before anything is written.

use super::element::Element;
use crate::activation::Activation;
use crate::error::Error;
use crate::options::Residual;
use crate::running::RunningStatistics;
use crate::tensor::Shape;

/// The storage type of the shape is that of the slices.
pub(super) fn check_dtype<E: Element>(shape: &Shape) -> Result<(), Error> {
    if shape.dtype() == E::DTYPE {
        Ok(())
    } else {
        Err(Error::Dtype { got: shape.dtype().name(), needs: E::DTYPE.name() })
    }
}

/// What the GPU's operations have and the CPU's do not.
pub(super) fn check_tail(activation: Activation, residual: Residual) -> Result<(), Error> {
    let needs = "which ends with beta: apply it to the result";
    match (activation, residual) {
        (Activation::Identity, Residual::None) => Ok(()),
        (Activation::Identity, Residual::Added) => Err(Error::Cpu { argument: "residual", needs }),
        _ => Err(Error::Cpu { argument: "activation", needs }),
    }
}

/// Running statistics as the CPU's operations update them.
pub(super) fn check_running(running: Option<RunningStatistics>) -> Result<(), Error> {
    let Some(running) = running else { return Ok(()) };
    running.check()?;
    let needs = "which updates them in place, by a constant momentum, with every batch";
    if running.joins() { Ok(()) } else { Err(Error::Cpu { argument: "running", needs }) }
}

/// A tensor, or what there is of each channel.
pub(super) fn check_length<T>(argument: &'static str, slice: &[T], needs: u64) -> Result<(), Error> {
    // What no slice can hold is no length that it has.
    let (got, needs) = (slice.len(), usize::try_from(needs).unwrap_or(usize::MAX));
    if got == needs { Ok(()) } else { Err(Error::Length { argument, got, needs }) }
}

/// A slice that is there exactly if it is wanted.
pub(super) fn check_optional<T>(
    argument: &'static str,
    slice: Option<&[T]>,
    wanted: bool,
    needs: u64,
) -> Result<(), Error> {
    match (slice, wanted) {
        (Some(slice), true) => check_length(argument, slice, needs),
        (None, false) => Ok(()),
        (Some(_), false) => Err(Error::Unexpected { argument }),
        (None, true) => Err(Error::Missing { argument, needs: needs * size_of::<T>() as u64 }),
    }
}
