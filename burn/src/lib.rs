//! Burn's batch norm by the kernels of wgpu-batchnorm.

mod autodiff;
mod call;
mod cube;
mod device;
mod error;
mod kernel;
mod kernels;
mod layout;
mod module;
mod operation;
mod own;
mod path;
mod running;

pub use error::Error;
pub use module::{BatchNorm, BatchNormConfig};
pub use path::{Path, Reason};
pub use wgpu_batchnorm::{Activation, RunningVariance, Update};
