//! What can be wrong with a directory of data: where, and what was expected there.

use std::path::PathBuf;

use thiserror::Error;

/// A data set that cannot be used.
#[derive(Debug, Error)]
pub enum DataError {
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: std::io::Error },
    #[error(
        "{}: no data set found there; expected either {IDX_FILES} (each may end in .gz), as MNIST and Fashion-MNIST \
         have them, or {CIFAR_FILES}, the binary version of CIFAR-10",
        path.display()
    )]
    Missing { path: PathBuf },
    #[error("{}: needs to be there beside the other files of the set, and is not", path.display())]
    Incomplete { path: PathBuf },
    #[error("{}: {what} is {found}, needs to be {needed}", path.display())]
    Invalid { path: PathBuf, what: &'static str, found: String, needed: String },
}

const IDX_FILES: &str =
    "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte";
const CIFAR_FILES: &str = "data_batch_1.bin to data_batch_5.bin and test_batch.bin";
