//! Why a run has no curve.

use thiserror::Error;

use crate::checkpoint::CheckpointError;

/// What ends training before its last step.
#[derive(Debug, Error)]
pub enum RunError {
    #[error("stopped by Ctrl-C; all is saved")]
    Interrupted,
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("reading from the device: {0}")]
    Device(String),
}
