//! Which data set: the one in a directory, or generated digits.

use std::path::Path;

use super::error::DataError;
use super::images::Dataset;
use super::{cifar, idx};
use crate::digits::{Style, render};

/// Images of a generated set.
const TRAIN: usize = 20_000;
const TEST: usize = 2_000;

const CIFAR_TEST: &str = "test_batch.bin";

/// The set in `directory`, or digits of that style where there is none given.
pub fn dataset(directory: Option<&Path>, style: &Style, seed: u64) -> Result<Dataset, DataError> {
    match directory {
        Some(directory) => read(directory),
        None => Ok(Dataset {
            name: format!("{}, seed {seed}", style.name),
            train: render(style, seed, 0, TRAIN),
            test: render(style, seed, 1, TEST),
        }),
    }
}

fn read(directory: &Path) -> Result<Dataset, DataError> {
    let path = directory.to_owned();
    if let Err(error) = std::fs::read_dir(directory) {
        return Err(DataError::Io { path, error });
    }
    let name = path.display().to_string();
    if idx::find(directory, "train-images-idx3-ubyte").is_some() {
        let find = |name: &str| {
            idx::find(directory, name).ok_or_else(|| DataError::Incomplete { path: directory.join(name) })
        };
        let part = |part: &str| {
            idx::read(
                &find(&format!("{part}-images-idx3-ubyte"))?,
                &find(&format!("{part}-labels-idx1-ubyte"))?,
            )
        };
        let (train, test) = (part("train")?, part("t10k")?);
        if (train.height, train.width) != (test.height, test.width) {
            return Err(DataError::Invalid {
                path: directory.join("t10k-images-idx3-ubyte"),
                what: "the size of an image",
                found: format!("{} x {}", test.height, test.width),
                needed: format!("{} x {}, as in the other file", train.height, train.width),
            });
        }
        return Ok(Dataset { name, train, test });
    }
    if directory.join(CIFAR_TEST).is_file() || directory.join("data_batch_1.bin").is_file() {
        let batches: Vec<_> =
            (1..=5).map(|number| directory.join(format!("data_batch_{number}.bin"))).collect();
        let test = directory.join(CIFAR_TEST);
        if let Some(path) = batches.iter().chain([&test]).find(|path| !path.is_file()) {
            return Err(DataError::Incomplete { path: path.clone() });
        }
        return Ok(Dataset { name, train: cifar::read(&batches)?, test: cifar::read(&[test])? });
    }
    Err(DataError::Missing { path })
}

#[cfg(test)]
mod tests {
    use super::super::scratch::Scratch;
    use super::*;

    fn failure(directory: &Path) -> String {
        read(directory).unwrap_err().to_string()
    }

    #[test]
    fn an_incomplete_directory_says_what_it_lacks() {
        let scratch = Scratch::new("source");
        assert!(failure(&scratch.path().join("nowhere")).contains("nowhere"));
        let error = failure(scratch.path());
        assert!(error.contains("train-images-idx3-ubyte") && error.contains("data_batch_1.bin"), "{error}");
        scratch.file("data_batch_1.bin", &[]);
        assert!(failure(scratch.path()).contains("data_batch_2.bin: needs to be there"));
        scratch.file("train-images-idx3-ubyte", &[0; 16]);
        assert!(failure(scratch.path()).contains("train-labels-idx1-ubyte: needs to be there"));
    }
}
