//! The files of cases: written, and read back.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// A folder of a test's own, gone at its end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(test: &str, backend: &str) -> Self {
        let name = format!("examples-{test}-{backend}-{}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).expect("folder of the test");
        Self(path)
    }

    pub fn write(&self, name: &str, file: &File) {
        std::fs::write(self.0.join(name), file.bytes()).expect("file of the test");
    }

    /// The tensors of a file, their types and values.
    pub fn read(&self, name: &str) -> HashMap<String, (Dtype, Vec<usize>, Vec<f64>)> {
        let bytes = std::fs::read(self.0.join(name)).expect("file of the example");
        let file = SafeTensors::deserialize(&bytes).expect("safetensors");
        let tensors = file.iter().map(|(name, view)| {
            let values = match view.dtype() {
                Dtype::F32 => view
                    .data()
                    .chunks_exact(4)
                    .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]).into())
                    .collect(),
                Dtype::F16 => view
                    .data()
                    .chunks_exact(2)
                    .map(|b| half::f16::from_le_bytes([b[0], b[1]]).into())
                    .collect(),
                Dtype::I64 => {
                    let words = view.data().chunks_exact(8);
                    words.map(|b| i64::from_le_bytes(b.try_into().expect("8 bytes")) as f64).collect()
                }
                other => panic!("{name} is {other}"),
            };
            (name.to_owned(), (view.dtype(), view.shape().to_vec(), values))
        });
        tensors.collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays behind lies in the target folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A file to be.
#[derive(Clone, Default)]
pub struct File {
    metadata: Vec<(&'static str, String)>,
    tensors: Vec<(&'static str, Dtype, Vec<usize>, Vec<u8>)>,
}

impl File {
    /// Two channels of four values: 1, 2, 3, 4 and ten times that.
    pub fn case() -> Self {
        Self::default().meta("mode", "train").meta("layout", "channels_first").f32(
            "x",
            &[2, 2, 2],
            &[1.0, 2.0, 10.0, 20.0, 3.0, 4.0, 30.0, 40.0],
        )
    }

    pub fn meta(mut self, key: &'static str, value: &str) -> Self {
        self.metadata.retain(|(known, _)| *known != key);
        self.metadata.push((key, value.to_owned()));
        self
    }

    pub fn without(mut self, key: &'static str) -> Self {
        self.metadata.retain(|(known, _)| *known != key);
        self.tensors.retain(|(known, ..)| *known != key);
        self
    }

    pub fn tensor(self, name: &'static str, dtype: Dtype, dims: &[usize], bytes: Vec<u8>) -> Self {
        let mut file = self;
        file.tensors.retain(|(known, ..)| *known != name);
        file.tensors.push((name, dtype, dims.to_vec(), bytes));
        file
    }

    pub fn f32(self, name: &'static str, dims: &[usize], values: &[f32]) -> Self {
        self.tensor(name, Dtype::F32, dims, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    pub fn f64(self, name: &'static str, dims: &[usize], values: &[f64]) -> Self {
        self.tensor(name, Dtype::F64, dims, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    pub fn bytes(&self) -> Vec<u8> {
        let view = |dtype: &Dtype, dims: &Vec<usize>, bytes| TensorView::new(*dtype, dims.clone(), bytes);
        let views = self
            .tensors
            .iter()
            .map(|(name, dtype, dims, bytes)| (*name, view(dtype, dims, bytes).expect("tensor")));
        let metadata: HashMap<_, _> = self.metadata.iter().map(|(k, v)| (k.to_string(), v.clone())).collect();
        let metadata = (!metadata.is_empty()).then_some(metadata);
        safetensors::serialize(views.collect::<Vec<_>>(), metadata).expect("safetensors")
    }
}
