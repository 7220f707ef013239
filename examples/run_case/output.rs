//! Writes the results of cases to files.

use std::cell::RefCell;
use std::collections::HashSet;
use std::error::Error;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use wgpu_batchnorm::Dtype;

use crate::case::Case;
use crate::execute::Results;
use crate::storage;
use crate::tensors::Stored;

/// The folder that results go to.
pub struct Folder {
    path: PathBuf,
    /// The cases, which are not to be written over.
    cases: HashSet<PathBuf>,
    written: RefCell<HashSet<PathBuf>>,
}

impl Folder {
    pub fn new(path: PathBuf, cases: &[PathBuf]) -> Result<Self, String> {
        std::fs::create_dir_all(&path)
            .map_err(|error| format!("--out {}: cannot be made: {error}", path.display()))?;
        // A case that cannot be found cannot be written over, and is reported when it is read.
        let cases = cases.iter().filter_map(|case| case.canonicalize().ok()).collect();
        Ok(Self { path, cases, written: RefCell::default() })
    }

    /// Writes the results of the case from that file; returns the file that they are in.
    pub fn write(&self, file: &Path, case: &Case, results: &Results) -> Result<PathBuf, Box<dyn Error>> {
        let mut name = file.file_stem().unwrap_or_default().to_owned();
        name.push(".safetensors");
        if name.as_encoded_bytes().ends_with(b".expected.safetensors") {
            return Err("its results would be named like expected values, needs another name".into());
        }
        let target = self.path.join(name);
        if target.canonicalize().is_ok_and(|target| self.cases.contains(&target)) {
            return Err(format!("its results would be written over the case {}", target.display()).into());
        }
        if !self.written.borrow_mut().insert(target.clone()) {
            return Err(format!("{} already holds the results of another case", target.display()).into());
        }
        let tensors = results.iter().map(|(quantity, values)| {
            if quantity.is_count() {
                // One for all channels.
                let count = values.first().map_or(0, |count| *count as i64);
                return (quantity.name(), Stored::I64, Vec::new(), count.to_le_bytes().to_vec());
            }
            let (dtype, dims) = match quantity.is_tensor() {
                true => (case.shape.dtype(), case.dims.clone()),
                false => (Dtype::F32, vec![values.len()]),
            };
            let stored = match dtype {
                Dtype::F32 => Stored::F32,
                Dtype::F16 => Stored::F16,
            };
            (quantity.name(), stored, dims, storage::encode(dtype, values))
        });
        let tensors: Vec<_> = tensors.collect();
        let views = tensors
            .iter()
            .map(|(name, dtype, dims, bytes)| Ok((*name, TensorView::new(*dtype, dims.clone(), bytes)?)));
        let views: Vec<_> = views.collect::<Result<_, safetensors::SafeTensorError>>()?;
        let bytes = safetensors::serialize(views, None)?;
        std::fs::write(&target, bytes)
            .map_err(|error| format!("{} cannot be written: {error}", target.display()))?;
        Ok(target)
    }
}
