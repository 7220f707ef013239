//! The CPU path against the f64 reference, by the same data and the same bounds as the GPU's.

mod fold;
mod hostile;
mod misuse;
mod property;
mod shapes;
mod support;
