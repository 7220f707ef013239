//! The format of MNIST: a magic number, extents as big-endian u32, then bytes.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::error::DataError;
use super::images::{CLASSES, Images};

/// Two zero bytes, 8 for unsigned bytes, and the rank.
const IMAGES_MAGIC: u32 = 0x0803;
const LABELS_MAGIC: u32 = 0x0801;

/// `name` in `directory`, or `name.gz`.
pub fn find(directory: &Path, name: &str) -> Option<PathBuf> {
    [name.to_owned(), format!("{name}.gz")].into_iter().map(|name| directory.join(name)).find(|p| p.is_file())
}

/// Images from one file and their labels from another.
pub fn read(images: &Path, labels: &Path) -> Result<Images, DataError> {
    let pixels = Idx::read(images, IMAGES_MAGIC)?;
    let classes = Idx::read(labels, LABELS_MAGIC)?;
    let [count, height, width] = [pixels.extents[0], pixels.extents[1], pixels.extents[2]];
    if classes.extents[0] != count {
        return Err(DataError::Invalid {
            path: labels.to_owned(),
            what: "the number of labels",
            found: classes.extents[0].to_string(),
            needed: format!("{count}, one for each image of {}", images.display()),
        });
    }
    if let Some((index, label)) = classes.bytes.iter().enumerate().find(|(_, l)| usize::from(**l) >= CLASSES)
    {
        return Err(DataError::Invalid {
            path: labels.to_owned(),
            what: "a label",
            found: format!("{label} (number {index})"),
            needed: format!("below {CLASSES}"),
        });
    }
    Ok(Images { channels: 1, height, width, pixels: pixels.bytes, labels: classes.bytes })
}

/// One file: its extents, and its bytes after them.
struct Idx {
    extents: Vec<usize>,
    bytes: Vec<u8>,
}

impl Idx {
    fn read(path: &Path, magic: u32) -> Result<Self, DataError> {
        let io = |error| DataError::Io { path: path.to_owned(), error };
        let invalid = |what, found, needed| DataError::Invalid { path: path.to_owned(), what, found, needed };
        let mut file = File::open(path).map_err(io)?;
        let mut content = Vec::new();
        if path.extension().is_some_and(|extension| extension == "gz") {
            // Of several members, as `gzip` and `pigz` make them, all.
            MultiGzDecoder::new(file).read_to_end(&mut content).map_err(io)?;
        } else {
            file.read_to_end(&mut content).map_err(io)?;
        }

        let rank = (magic & 0xff) as usize;
        let head = 4 * (1 + rank);
        let (words, bytes) = content.split_at_checked(head).ok_or_else(|| {
            invalid(
                "the length",
                format!("{} bytes", content.len()),
                format!("a head of {head} bytes and data"),
            )
        })?;
        let mut words =
            words.chunks_exact(4).map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
        let found = words.next().unwrap_or_default();
        if found != magic {
            let needed = format!("{magic:#010x}: bytes of rank {rank}");
            return Err(invalid("the magic number", format!("{found:#010x}"), needed));
        }
        let extents: Vec<usize> = words.map(|word| word as usize).collect();
        if extents.contains(&0) {
            return Err(invalid("an extent", format!("0 in {extents:?}"), "at least 1".into()));
        }
        let expected = extents.iter().try_fold(1_usize, |product, &extent| product.checked_mul(extent));
        if expected != Some(bytes.len()) {
            let extents: Vec<String> = extents.iter().map(usize::to_string).collect();
            return Err(invalid(
                "the data",
                format!("{} bytes", bytes.len()),
                format!("{} bytes, as the head says", extents.join(" x ")),
            ));
        }
        let bytes = bytes.to_vec();
        Ok(Self { extents, bytes })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::super::scratch::Scratch;
    use super::*;

    fn file(magic: u32, extents: &[u32], bytes: &[u8]) -> Vec<u8> {
        let head = std::iter::once(&magic).chain(extents).flat_map(|word| word.to_be_bytes());
        head.chain(bytes.iter().copied()).collect()
    }

    fn pair(scratch: &Scratch, images: &[u8], labels: &[u8]) -> Result<Images, DataError> {
        read(&scratch.file("images", images), &scratch.file("labels", labels))
    }

    #[test]
    fn images_and_labels_are_read() {
        let scratch = Scratch::new("idx");
        let images = file(IMAGES_MAGIC, &[2, 1, 3], &[1, 2, 3, 4, 5, 6]);
        let read = pair(&scratch, &images, &file(LABELS_MAGIC, &[2], &[7, 0])).unwrap();
        assert_eq!((read.channels, read.height, read.width), (1, 1, 3));
        assert_eq!((read.image(1), read.labels.as_slice()), (&[4, 5, 6][..], &[7, 0][..]));
    }

    #[test]
    fn compressed_files_are_read() {
        let scratch = Scratch::new("idx-gz");
        let compress = |bytes: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        scratch.file("images.gz", &compress(&file(IMAGES_MAGIC, &[1, 1, 1], &[9])));
        scratch.file("labels.gz", &compress(&file(LABELS_MAGIC, &[1], &[3])));
        let path = |name| find(scratch.path(), name).unwrap();
        assert_eq!(read(&path("images"), &path("labels")).unwrap().pixels, [9]);
        let (head, data) = (compress(&file(IMAGES_MAGIC, &[1, 1, 1], &[])), compress(&[8]));
        scratch.file("images.gz", &[head, data].concat());
        assert_eq!(read(&path("images"), &path("labels")).unwrap().pixels, [8]);
        scratch.file("labels.gz", &compress(&file(LABELS_MAGIC, &[1], &[3]))[..12]);
        assert!(matches!(read(&path("images"), &path("labels")), Err(DataError::Io { .. })));
    }

    #[test]
    fn what_is_broken_is_named() {
        let scratch = Scratch::new("idx-broken");
        let images = file(IMAGES_MAGIC, &[2, 1, 1], &[1, 2]);
        let labels = file(LABELS_MAGIC, &[2], &[1, 2]);
        let cases: [(&[u8], &[u8], &str); 7] = [
            (&[], &labels, "the length is 0 bytes"),
            (&labels, &labels, "the length is 10 bytes"),
            (&file(0x0d03, &[2, 1, 1], &[1, 2]), &labels, "the magic number is 0x00000d03"),
            (&file(IMAGES_MAGIC, &[3, 1, 1], &[1, 2]), &labels, "needs to be 3 x 1 x 1 bytes"),
            (&file(IMAGES_MAGIC, &[u32::MAX, u32::MAX, u32::MAX], &[1]), &labels, "the data is 1 bytes"),
            (&images, &file(LABELS_MAGIC, &[1], &[1]), "the number of labels is 1"),
            (&images, &file(LABELS_MAGIC, &[2], &[1, 10]), "a label is 10 (number 1)"),
        ];
        for (images, labels, expected) in cases {
            let error = pair(&scratch, images, labels).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} does not say {expected}");
        }
    }
}
