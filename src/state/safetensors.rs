//! A layer's state in safetensors files.

use std::borrow::Cow;

use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, View};

use super::BatchNormState;
use crate::error::Error;

const COUNTER: &str = "num_batches_tracked";

/// The most that PyTorch can count: its counter is an i64.
const MOST_TRACKED: u64 = i64::MAX.unsigned_abs();

/// The name of a layer's tensor in a file.
fn full_name(prefix: &str, name: &str) -> String {
    let dot = if prefix.is_empty() || prefix.ends_with('.') { "" } else { "." };
    format!("{prefix}{dot}{name}")
}

/// Whose [`full_name`] this is: the shortest prefix that gives it.
fn prefix_of<'a>(full: &'a str, name: &str) -> Option<&'a str> {
    let prefix = full.strip_suffix(name)?;
    if prefix.is_empty() {
        return Some(prefix);
    }
    let short = prefix.strip_suffix('.')?;
    // A dot that the short one already ends with would not be put there again.
    Some(if short.is_empty() || short.ends_with('.') { prefix } else { short })
}

/// Reading and writing, with the cargo feature `safetensors`.
///
/// Tensors are named as by PyTorch: a prefix, a dot, the name. With the prefix `layer1.0.bn1` the weight is
/// `layer1.0.bn1.weight`. A prefix that is empty or ends with a dot already stands before the name as it is: that of a
/// layer saved on its own is `""`, and `layer1.0.bn1.` is the same as `layer1.0.bn1`.
impl BatchNormState {
    /// Reads the layer under a prefix of an opened file.
    ///
    /// `weight`, `bias`, `running_mean` and `running_var` have the shape `[channels]` and may be of F32, or of F16,
    /// BF16 or F64, which are converted to f32, F64 by rounding to the nearest. `num_batches_tracked` has the shape
    /// `[]` or `[1]` and is I64, as PyTorch writes it, or I32, U32 or U64. Each may be absent, `num_batches_tracked`
    /// as in files from before PyTorch 0.4.1, but not all of the first four. Other tensors of the file do not matter.
    ///
    /// Whether it is a batch norm at all, the names do not say: a weight and a bias of one dimension may be those of a
    /// layer norm.
    ///
    /// # Errors
    /// [`Error::NoState`] where there is nothing under the prefix, [`Error::TensorShape`], [`Error::TensorDtype`],
    /// [`Error::TensorLength`] where two tensors have different lengths, [`Error::Unpaired`] where only one of the
    /// running statistics is there, [`Error::BatchesTracked`] below 0 or above `i64::MAX`.
    ///
    /// ```
    /// use wgpu_batchnorm::safetensors::{SafeTensors, serialize};
    /// use wgpu_batchnorm::BatchNormState;
    ///
    /// let file = serialize(BatchNormState::new(8).to_safetensors("bn1")?, None)?;
    /// let tensors = SafeTensors::deserialize(&file)?;
    /// let state = BatchNormState::from_safetensors(&tensors, "bn1")?;
    /// assert_eq!(state, BatchNormState::new(8));
    ///
    /// let error = BatchNormState::from_safetensors(&tensors, "bn2").unwrap_err();
    /// assert_eq!(error.to_string(), r#"prefix: is "bn2", needs to be that of a layer, as one of ["bn1"]"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_safetensors(tensors: &SafeTensors<'_>, prefix: &str) -> Result<Self, Error> {
        let values = |name| {
            let name = full_name(prefix, name);
            let view = tensors.tensor(&name).ok();
            view.map(|view| floats(&view, name)).transpose()
        };
        let counter = full_name(prefix, COUNTER);
        let state = Self {
            weight: values("weight")?,
            bias: values("bias")?,
            running_mean: values("running_mean")?,
            running_var: values("running_var")?,
            num_batches_tracked: match tensors.tensor(&counter) {
                Ok(view) => Some(count(&view, counter)?),
                Err(_) => None,
            },
        };
        if state.channels().is_none() {
            return Err(Error::NoState { prefix: prefix.to_owned(), found: Self::prefixes(tensors) });
        }
        state.check_named(prefix)?;
        Ok(state)
    }

    /// The prefixes of all layers in a file, sorted: of every tensor whose name is `running_mean` or ends with
    /// `.running_mean`.
    ///
    /// Batch norms without running statistics are not among them, since nothing tells their weight and bias from those
    /// of other layers; instance norms that keep running statistics are.
    ///
    /// ```
    /// use wgpu_batchnorm::safetensors::{SafeTensors, serialize};
    /// use wgpu_batchnorm::BatchNormState;
    ///
    /// let layer = BatchNormState::new(8);
    /// let layers = [layer.to_safetensors("layer1.0.bn1")?, layer.to_safetensors("bn1")?];
    /// let file = serialize(layers.into_iter().flatten(), None)?;
    /// let tensors = SafeTensors::deserialize(&file)?;
    /// assert_eq!(BatchNormState::prefixes(&tensors), ["bn1", "layer1.0.bn1"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn prefixes(tensors: &SafeTensors<'_>) -> Vec<String> {
        let names = tensors.names().into_iter();
        let mut prefixes: Vec<_> =
            names.filter_map(|name| prefix_of(name, "running_mean")).map(str::to_owned).collect();
        prefixes.sort();
        prefixes
    }

    /// The layer's tensors under a prefix, for [`safetensors::serialize`](crate::safetensors::serialize), alone or
    /// with those of other layers: F32 of the shape `[channels]`, and `num_batches_tracked` as I64 of the shape `[]`.
    /// What is absent is not written. [`BatchNormState::from_safetensors`] reads the same state back, unless it has no
    /// tensors at all.
    ///
    /// # Errors
    /// For a state that could not be read back: [`Error::TensorShape`] for tensors of no values,
    /// [`Error::TensorLength`] where two tensors have different lengths, [`Error::Unpaired`] where only one of the
    /// running statistics is there, [`Error::BatchesTracked`] above `i64::MAX`.
    ///
    /// ```
    /// use wgpu_batchnorm::safetensors::{SafeTensors, serialize};
    /// use wgpu_batchnorm::{BatchNormState, StateTensor};
    ///
    /// // One layer of a file is replaced, and all else goes over as it is.
    /// # let file = serialize(BatchNormState::new(8).to_safetensors("bn1")?, None)?;
    /// let tensors = SafeTensors::deserialize(&file)?;
    /// let layer = BatchNormState::new(16).to_safetensors("bn2")?;
    /// let others = tensors.tensors().into_iter().map(|(name, view)| (name, StateTensor::from(view)));
    /// let others = others.filter(|(name, _)| !name.starts_with("bn2."));
    /// let file = serialize(others.chain(layer), None)?;
    /// # assert_eq!(BatchNormState::prefixes(&SafeTensors::deserialize(&file)?), ["bn1", "bn2"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_safetensors(&self, prefix: &str) -> Result<Vec<(String, StateTensor<'static>)>, Error> {
        self.check_named(prefix)?;
        let mut tensors = Vec::new();
        for (name, values) in self.tensors() {
            if let Some(values) = values {
                let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                let tensor = StateTensor { dtype: Dtype::F32, shape: vec![values.len()], data };
                tensors.push((full_name(prefix, name), tensor));
            }
        }
        if let Some(tracked) = self.num_batches_tracked {
            let name = full_name(prefix, COUNTER);
            let tracked = i64::try_from(tracked).map_err(|_| untracked(&name, tracked.into()))?;
            let data = tracked.to_le_bytes().to_vec().into();
            tensors.push((name, StateTensor { dtype: Dtype::I64, shape: Vec::new(), data }));
        }
        Ok(tensors)
    }

    /// What [`BatchNormState::check`] looks for, where nobody says how many channels there are, and by the names in
    /// the file.
    fn check_named(&self, prefix: &str) -> Result<(), Error> {
        let given = self.tensors().into_iter().filter_map(|(name, values)| Some((name, values?.len())));
        let mut first = None;
        for (name, got) in given {
            if got == 0 {
                return Err(misshapen(full_name(prefix, name), &[got]));
            }
            let (other, needs) = *first.get_or_insert((name, got));
            if got != needs {
                let (tensor, other) = (full_name(prefix, name), full_name(prefix, other));
                return Err(Error::TensorLength { tensor, got, needs, other });
            }
        }
        match self.unpaired() {
            Some((absent, present)) => Err(Error::Unpaired {
                argument: full_name(prefix, absent),
                other: full_name(prefix, present),
            }),
            None => Ok(()),
        }
    }
}

/// A tensor to be written to a file: one of [`BatchNormState::to_safetensors`], or any other that goes into the same
/// file, made from a [`TensorView`]. Its bytes are little-endian, as the format has them.
///
/// ```
/// use wgpu_batchnorm::safetensors::{Dtype, View, tensor::TensorView};
/// use wgpu_batchnorm::StateTensor;
///
/// let data = [0; 12];
/// let tensor = StateTensor::from(TensorView::new(Dtype::F16, vec![2, 3], &data)?);
/// assert_eq!((tensor.dtype(), tensor.shape(), tensor.data_len()), (Dtype::F16, &[2, 3][..], 12));
/// # Ok::<(), wgpu_batchnorm::safetensors::SafeTensorError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateTensor<'a> {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Cow<'a, [u8]>,
}

impl<'a> From<TensorView<'a>> for StateTensor<'a> {
    fn from(view: TensorView<'a>) -> Self {
        Self { dtype: view.dtype(), shape: view.shape().to_vec(), data: view.data().into() }
    }
}

impl View for StateTensor<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}

/// The values of a tensor with one for each channel.
fn floats(view: &TensorView<'_>, name: String) -> Result<Vec<f32>, Error> {
    // First, so that the weight of a convolution is not converted in vain.
    if !matches!(view.shape(), [channels] if *channels > 0) {
        return Err(misshapen(name, view.shape()));
    }
    let data = view.data();
    match view.dtype() {
        Dtype::F32 => Ok(numbers(data, f32::from_le_bytes)),
        Dtype::F16 => Ok(numbers(data, |bytes| f16::from_le_bytes(bytes).to_f32())),
        Dtype::BF16 => Ok(numbers(data, |bytes| bf16::from_le_bytes(bytes).to_f32())),
        Dtype::F64 => Ok(numbers(data, |bytes| f64::from_le_bytes(bytes) as f32)),
        dtype => Err(mistyped(name, dtype, "F32, F16, BF16 or F64")),
    }
}

/// The one number of a counter.
fn count(view: &TensorView<'_>, name: String) -> Result<u64, Error> {
    if !matches!(view.shape(), [] | [1]) {
        return Err(Error::TensorShape { tensor: name, got: view.shape().to_vec(), needs: "[] or [1]" });
    }
    let data = view.data();
    let counts: Vec<i128> = match view.dtype() {
        Dtype::I64 => numbers(data, |bytes| i64::from_le_bytes(bytes).into()),
        Dtype::I32 => numbers(data, |bytes| i32::from_le_bytes(bytes).into()),
        Dtype::U64 => numbers(data, |bytes| u64::from_le_bytes(bytes).into()),
        Dtype::U32 => numbers(data, |bytes| u32::from_le_bytes(bytes).into()),
        dtype => return Err(mistyped(name, dtype, "I64, I32, U64 or U32")),
    };
    let got = counts.into_iter().sum();
    u64::try_from(got).ok().filter(|&tracked| tracked <= MOST_TRACKED).ok_or_else(|| untracked(&name, got))
}

/// Little-endian numbers, wherever they lie: a file need not be aligned in memory.
fn numbers<const SIZE: usize, T>(data: &[u8], number: impl Fn([u8; SIZE]) -> T) -> Vec<T> {
    let bytes = |chunk: &[u8]| {
        let mut bytes = [0; SIZE];
        bytes.copy_from_slice(chunk);
        bytes
    };
    data.chunks_exact(SIZE).map(|chunk| number(bytes(chunk))).collect()
}

fn mistyped(tensor: String, dtype: Dtype, needs: &'static str) -> Error {
    Error::TensorDtype { tensor, got: format!("{dtype:?}"), needs }
}

fn misshapen(tensor: String, shape: &[usize]) -> Error {
    Error::TensorShape { tensor, got: shape.to_vec(), needs: "[channels] with at least 1 channel" }
}

fn untracked(name: &str, got: i128) -> Error {
    Error::BatchesTracked { argument: name.to_owned(), got, max: MOST_TRACKED }
}
