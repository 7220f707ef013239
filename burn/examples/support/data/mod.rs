//! Labelled images: generated ones, or those of a directory that the user has.

pub mod cifar;
pub mod error;
pub mod idx;
pub mod images;
#[cfg(test)]
pub mod scratch;
pub mod source;
