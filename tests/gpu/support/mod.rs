//! What the tests share.

pub mod arena;
pub mod data;
pub mod gpu;
pub mod run;
