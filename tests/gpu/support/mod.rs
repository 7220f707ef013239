//! What the tests share.

pub mod arena;
pub mod case;
pub mod check;
pub mod data;
pub mod gpu;
pub mod gradients;
pub mod grid;
pub mod run;
pub mod stages;
pub mod surface;
pub mod vectors;
