//! What the metadata of a case says.

use std::collections::HashMap;

use wgpu_batchnorm::RunningVariance;

use crate::tensors::{File, Stored};

/// The keys that mean something. `format` is what exporters write of themselves.
const KEYS: [&str; 10] = [
    "mode",
    "layout",
    "channel_axis",
    "eps",
    "momentum",
    "num_batches_tracked",
    "running_var",
    "activation",
    "format",
    "name",
];

/// Which pass the case is of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Train,
    Eval,
}

/// The metadata of a case.
pub struct Metadata {
    pub mode: Mode,
    pub channel_axis: usize,
    pub eps: f64,
    /// Weight of the new value.
    pub momentum: f64,
    pub variance: RunningVariance,
    /// Keys that mean nothing here.
    pub unknown: Vec<String>,
}

impl Metadata {
    pub fn new(file: &File, rank: usize) -> Result<Self, String> {
        let metadata = &file.metadata;
        let get = |key: &str| metadata.get(key).map(String::as_str);
        if metadata.is_empty() {
            return Err("metadata: there is none, needs at least mode and layout".into());
        }
        let mode = match get("mode") {
            Some("train") => Mode::Train,
            Some("eval") => Mode::Eval,
            got => return Err(wrong("mode", got, "train or eval")),
        };
        match get("activation") {
            None | Some("identity") => {}
            got => return Err(wrong("activation", got, "identity (others are not supported yet)")),
        }
        let variance = match get("running_var") {
            None | Some("unbiased") => RunningVariance::Unbiased,
            Some("biased") => RunningVariance::Biased,
            got => return Err(wrong("running_var", got, "unbiased or biased")),
        };
        let momentum = match get("momentum") {
            None => 0.1,
            Some("cumulative") => 1.0 / (batches_seen(file)? as f64 + 1.0),
            Some(text) => number("momentum", text, "a number or cumulative")?,
        };
        let eps = get("eps").map_or(Ok(1e-5), |text| number("eps", text, "a number"))?;
        let mut unknown: Vec<_> =
            metadata.keys().filter(|key| !KEYS.contains(&key.as_str())).cloned().collect();
        unknown.sort();
        Ok(Self { mode, channel_axis: channel_axis(metadata, rank)?, eps, momentum, variance, unknown })
    }
}

fn channel_axis(metadata: &HashMap<String, String>, rank: usize) -> Result<usize, String> {
    if rank < 2 {
        return Err(format!("x: rank is {rank}, needs at least 2 (a batch and a channel dimension)"));
    }
    let layout = match metadata.get("layout").map(String::as_str) {
        None => None,
        Some("channels_first") => Some(1),
        Some("channels_last") => Some(rank - 1),
        got => return Err(wrong("layout", got, "channels_first or channels_last")),
    };
    let axis = match metadata.get("channel_axis") {
        None => None,
        Some(text) => {
            let needs =
                format!("an integer from {} to {} (x has {rank} dimensions)", -(rank as i64), rank - 1);
            let axis: i64 = text.trim().parse().map_err(|_| wrong("channel_axis", Some(text), &needs))?;
            let axis = if axis < 0 { axis + rank as i64 } else { axis };
            match usize::try_from(axis) {
                Ok(axis) if axis < rank => Some(axis),
                _ => return Err(wrong("channel_axis", Some(text), &needs)),
            }
        }
    };
    match (layout, axis) {
        (Some(layout), Some(axis)) if layout != axis => {
            Err(format!("metadata: layout says channel axis {layout}, channel_axis says {axis}"))
        }
        (Some(axis), _) | (None, Some(axis)) => Ok(axis),
        (None, None) => Err("metadata: neither layout nor channel_axis is there, needs one of them".into()),
    }
}

/// The batches before this one.
fn batches_seen(file: &File) -> Result<u64, String> {
    let name = "num_batches_tracked";
    let needs = "a whole number from 0";
    let in_metadata = match file.metadata.get(name) {
        Some(text) => Some(text.trim().parse().map_err(|_| wrong(name, Some(text), needs))?),
        None => None,
    };
    let in_tensor = match file.tensors.get(name) {
        Some(tensor) => {
            let bytes: [u8; 8] = match (tensor.dtype, tensor.bytes.as_slice().try_into()) {
                (Stored::I64, Ok(bytes)) => bytes,
                (dtype, _) => {
                    return Err(format!("{name}: is {dtype} {:?}, needs to be one I64", tensor.dims));
                }
            };
            let count = i64::from_le_bytes(bytes);
            Some(u64::try_from(count).map_err(|_| format!("{name}: is {count}, needs to be {needs}"))?)
        }
        None => None,
    };
    match (in_metadata, in_tensor) {
        (Some(a), Some(b)) if a != b => Err(format!("{name}: is {a} as metadata and {b} as tensor")),
        (a, b) => Ok(a.or(b).unwrap_or(0)),
    }
}

/// A number that an f32 can hold, if rounded.
fn number(key: &str, text: &str, needs: &str) -> Result<f64, String> {
    let value: f64 = text.trim().parse().map_err(|_| wrong(key, Some(text), needs))?;
    let rounded = f64::from(value as f32);
    if (rounded == 0.0) != (value == 0.0) || rounded.is_infinite() != value.is_infinite() {
        return Err(wrong(key, Some(text), "in the range of F32"));
    }
    Ok(value)
}

fn wrong(key: &str, got: Option<&str>, needs: &str) -> String {
    match got {
        Some(got) => format!("metadata {key}: is {got:?}, needs to be {needs}"),
        None => format!("metadata {key}: is absent, needs to be {needs}"),
    }
}
