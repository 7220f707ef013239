//! The binary version of CIFAR-10: records of a label and 3 x 32 x 32 bytes.

use std::path::Path;

use super::error::DataError;
use super::images::{CLASSES, Images};

const CHANNELS: usize = 3;
const EXTENT: usize = 32;
const RECORD: usize = 1 + CHANNELS * EXTENT * EXTENT;

/// The records of all files, one after the other.
pub fn read(paths: &[impl AsRef<Path>]) -> Result<Images, DataError> {
    let mut images =
        Images { channels: CHANNELS, height: EXTENT, width: EXTENT, pixels: Vec::new(), labels: Vec::new() };
    for path in paths {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|error| DataError::Io { path: path.to_owned(), error })?;
        let invalid = |what, found, needed| DataError::Invalid { path: path.to_owned(), what, found, needed };
        if bytes.is_empty() || bytes.len() % RECORD != 0 {
            let needed = format!("a multiple of {RECORD} bytes: a label and 3 x 32 x 32 values");
            return Err(invalid("the length", format!("{} bytes", bytes.len()), needed));
        }
        for (index, record) in bytes.chunks_exact(RECORD).enumerate() {
            let (label, pixels) = (record[0], &record[1..]);
            if usize::from(label) >= CLASSES {
                let needed = format!("below {CLASSES} (is this CIFAR-100?)");
                return Err(invalid("a label", format!("{label} (record {index})"), needed));
            }
            images.labels.push(label);
            images.pixels.extend_from_slice(pixels);
        }
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::super::scratch::Scratch;
    use super::*;

    fn record(label: u8, value: u8) -> Vec<u8> {
        let mut record = vec![value; RECORD];
        record[0] = label;
        record
    }

    #[test]
    fn records_of_several_files_are_joined() {
        let scratch = Scratch::new("cifar");
        let first = scratch.file("1.bin", &[record(3, 10), record(9, 20)].concat());
        let second = scratch.file("2.bin", &record(0, 30));
        let images = read(&[first, second]).unwrap();
        assert_eq!(images.labels, [3, 9, 0]);
        assert!(images.image(1).iter().all(|&value| value == 20) && images.image(2)[0] == 30);
    }

    #[test]
    fn what_is_broken_is_named() {
        let scratch = Scratch::new("cifar-broken");
        let cases: [(&[u8], &str); 3] = [
            (&[], "the length is 0 bytes"),
            (&record(1, 1)[1..], "the length is 3072 bytes"),
            (&[record(1, 1), record(10, 1)].concat(), "a label is 10 (record 1)"),
        ];
        for (bytes, expected) in cases {
            let error = read(&[scratch.file("batch.bin", bytes)]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} does not say {expected}");
        }
    }
}
