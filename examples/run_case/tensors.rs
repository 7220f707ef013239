//! A safetensors file: its metadata, and its tensors as f64.

use std::collections::HashMap;
use std::path::Path;

pub use safetensors::Dtype as Stored;
use safetensors::SafeTensors;

/// A file, read and understood.
pub struct File {
    pub metadata: HashMap<String, String>,
    pub tensors: HashMap<String, Tensor>,
}

/// A tensor of a file, in the bytes of its type.
pub struct Tensor {
    pub dtype: Stored,
    pub dims: Vec<usize>,
    pub bytes: Vec<u8>,
}

impl File {
    pub fn read(path: &Path) -> Result<Self, String> {
        let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
        let unusable = |error| format!("is no safetensors file: {error}");
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(unusable)?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(unusable)?;
        let tensors = tensors.iter().map(|(name, view)| {
            let (dtype, dims, bytes) = (view.dtype(), view.shape().to_vec(), view.data().to_vec());
            (name.to_owned(), Tensor { dtype, dims, bytes })
        });
        Ok(Self { metadata: header.metadata().clone().unwrap_or_default(), tensors: tensors.collect() })
    }
}
