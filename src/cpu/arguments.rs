//! Whether the slices given are those that the options call for, found before anything is written.

use super::element::Element;
use crate::error::Error;
use crate::tensor::Shape;

/// The storage type of the shape is that of the slices.
pub(super) fn check_dtype<E: Element>(shape: &Shape) -> Result<(), Error> {
    let name = |dtype| if dtype == crate::tensor::Dtype::F32 { "f32" } else { "f16" };
    if shape.dtype() == E::DTYPE {
        Ok(())
    } else {
        Err(Error::Dtype { got: name(shape.dtype()), needs: name(E::DTYPE) })
    }
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
