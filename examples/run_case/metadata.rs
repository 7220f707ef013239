//! What the metadata of a case says.

use std::collections::HashMap;

use wgpu_batchnorm::{Activation, Momentum, RunningStatistics, RunningVariance, Update};

use crate::activation::activation;
use crate::tensors::{File, Stored};

/// The keys that mean something. `format` is what exporters write of themselves.
const KEYS: [&str; 15] = [
    "mode",
    "layout",
    "channel_axis",
    "eps",
    "momentum",
    "num_batches_tracked",
    "running_var",
    "update",
    "stats",
    "activation",
    "alpha",
    "lo",
    "hi",
    "format",
    "name",
];

/// Which pass the case is of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Train,
    Eval,
}

/// Whose statistics something goes through.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Batch,
    Running,
}

/// The metadata of a case.
pub struct Metadata {
    pub mode: Mode,
    pub channel_axis: usize,
    pub eps: f64,
    /// Weight of the new value.
    pub momentum: f64,
    /// How the running statistics follow the batch; `None` leaves them as they are.
    pub following: Option<RunningStatistics>,
    /// Whether batches are counted.
    pub counts: bool,
    /// The batches before this one, where they are.
    pub batches: u32,
    /// What the backward pass goes through, if it is said.
    pub stats: Option<Source>,
    pub activation: Activation,
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
        let variance = match get("running_var") {
            None | Some("unbiased") => RunningVariance::Unbiased,
            Some("biased") => RunningVariance::Biased,
            got => return Err(wrong("running_var", got, "unbiased or biased")),
        };
        let update = match get("update") {
            None | Some("always") => Some(Update::Always),
            Some("finite") => Some(Update::IfChannelFinite),
            Some("finite_layer") => Some(Update::IfLayerFinite),
            Some("never") => None,
            got => return Err(wrong("update", got, "always, finite, finite_layer or never")),
        };
        let stats = match get("stats") {
            None => None,
            Some("batch") => Some(Source::Batch),
            Some("running") => Some(Source::Running),
            got => return Err(wrong("stats", got, "batch or running")),
        };
        let momentum = match get("momentum") {
            None => Some(0.1),
            Some("cumulative") => None,
            Some(text) => Some(number("momentum", text, "a number or cumulative")?),
        };
        let counts = momentum.is_none() || update.is_some_and(|update| update != Update::Always);
        let batches = if counts { batches_seen(file)? } else { 0 };
        let following = update.map(|update| RunningStatistics {
            momentum: momentum.map_or(Momentum::Cumulative, |momentum| Momentum::OfNew(momentum as f32)),
            variance,
            update,
            ..Default::default()
        });
        let momentum = momentum.unwrap_or(1.0 / (f64::from(batches) + 1.0));
        let eps = get("eps").map_or(Ok(1e-5), |text| number("eps", text, "a number"))?;
        let mut unknown: Vec<_> =
            metadata.keys().filter(|key| !KEYS.contains(&key.as_str())).cloned().collect();
        unknown.sort();
        let (channel_axis, activation) = (channel_axis(metadata, rank)?, activation(file)?);
        Ok(Self { mode, channel_axis, eps, momentum, following, counts, batches, stats, activation, unknown })
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

/// The batches before this one. The counters hold one more.
fn batches_seen(file: &File) -> Result<u32, String> {
    let name = "num_batches_tracked";
    let needs = "a whole number from 0 to 4294967294";
    let in_metadata = match file.metadata.get(name) {
        Some(text) => {
            let count: u32 = text.trim().parse().map_err(|_| wrong(name, Some(text), needs))?;
            Some(i64::from(count))
        }
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
            Some(i64::from_le_bytes(bytes))
        }
        None => None,
    };
    match (in_metadata, in_tensor) {
        (Some(a), Some(b)) if a != b => Err(format!("{name}: is {a} as metadata and {b} as tensor")),
        (a, b) => {
            let count = a.or(b).unwrap_or(0);
            let counted = u32::try_from(count).ok().filter(|count| *count < u32::MAX);
            counted.ok_or_else(|| format!("{name}: is {count}, needs to be {needs}"))
        }
    }
}

/// A number that an f32 can hold, if rounded.
pub fn number(key: &str, text: &str, needs: &str) -> Result<f64, String> {
    let value: f64 = text.trim().parse().map_err(|_| wrong(key, Some(text), needs))?;
    let rounded = f64::from(value as f32);
    if (rounded == 0.0) != (value == 0.0) || rounded.is_infinite() != value.is_infinite() {
        return Err(wrong(key, Some(text), "in the range of F32"));
    }
    Ok(value)
}

pub fn wrong(key: &str, got: Option<&str>, needs: &str) -> String {
    match got {
        Some(got) => format!("metadata {key}: is {got:?}, needs to be {needs}"),
        None => format!("metadata {key}: is absent, needs to be {needs}"),
    }
}
