//! The inputs and bounds of the GPU's tests, and what runs the CPU path on them.

#[path = "../../gpu/support/case.rs"]
#[expect(dead_code, reason = "shared with the tests of the GPU, which use all of it")]
pub mod case;
#[path = "../../gpu/support/check.rs"]
pub mod check;
#[path = "../../gpu/support/data.rs"]
#[expect(dead_code, reason = "shared with the tests of the GPU, which use all of it")]
pub mod data;
pub mod run;
