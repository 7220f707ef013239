//! The conformance vectors of `../shared/conformance`: read where they lie, and the tolerance of each one's source.

use std::path::PathBuf;

use serde::Deserialize;
use wgpu_batchnorm::Dtype;

use super::check::{Verdict, within};

/// One vector, as the folder's README describes it. `None` is absent among the inputs, not checked among the
/// expected values.
#[derive(Clone, Debug, Deserialize)]
pub struct Vector {
    pub name: String,
    pub mode: Mode,
    pub shape: Vec<usize>,
    pub channel_axis: usize,
    pub dtype: String,
    pub eps: f32,
    /// In PyTorch's sense.
    pub momentum: Option<f32>,
    pub running_var_estimator: Option<Estimator>,
    pub activation: Option<String>,
    /// How often the same batch is trained on.
    pub steps: Option<u32>,
    pub x: Vec<f64>,
    pub gamma: Option<Vec<f64>>,
    pub beta: Option<Vec<f64>>,
    pub running_mean: Option<Vec<f64>>,
    pub running_var: Option<Vec<f64>>,
    pub dy: Option<Vec<f64>>,
    pub bwd_stats: Option<BackwardStatistics>,
    pub saved_mean: Option<Vec<f64>>,
    pub saved_invstd: Option<Vec<f64>>,
    pub expected_y: Option<Vec<f64>>,
    pub expected_running_mean: Option<Vec<f64>>,
    pub expected_running_var: Option<Vec<f64>>,
    pub expected_batch_mean: Option<Vec<f64>>,
    pub expected_batch_var: Option<Vec<f64>>,
    pub expected_invstd: Option<Vec<f64>>,
    pub expected_dx: Option<Vec<f64>>,
    pub expected_dgamma: Option<Vec<f64>>,
    pub expected_dbeta: Option<Vec<f64>>,
    pub expected_dmean: Option<Vec<f64>>,
    pub expected_dvar: Option<Vec<f64>>,
    pub tolerance: Tolerance,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Train,
    Inference,
    Backward,
}

/// Which variance the running one follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Estimator {
    Biased,
    Unbiased,
}

/// By which statistics the gradients are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackwardStatistics {
    /// Those of x.
    Batch,
    /// The running ones.
    Eval,
    /// `saved_mean` and `saved_invstd`.
    Saved,
}

/// What the source of a vector allows: `atol + rtol |expected|`, or so many units in the last place.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Tolerance {
    atol: Option<f64>,
    rtol: Option<f64>,
    ulp: Option<u32>,
}

impl Tolerance {
    /// A result of this storage type against what is expected.
    pub fn hold(&self, name: &str, dtype: Dtype, actual: &[f64], expected: &[f64]) -> Verdict {
        match *self {
            Self { atol: Some(atol), rtol: Some(rtol), ulp: None } => {
                within(name, actual, expected, |i| atol + rtol * expected[i].abs())
            }
            Self { atol: None, rtol: None, ulp: Some(ulp) } => {
                // Lengths, NaN and infinities; then the distance.
                within(name, actual, expected, |_| f64::MAX)?;
                let position = |value| position(dtype, value);
                let far = |(a, b): &(&f64, &f64)| position(**a).abs_diff(position(**b)) > u64::from(ulp);
                match actual.iter().zip(expected).find(far) {
                    Some((actual, expected)) => Err(format!(
                        "{name}: {actual:e} for {expected:e}, allowed are {ulp} units in the last place"
                    )),
                    None => Ok(()),
                }
            }
            _ => Err(format!("{name}: tolerance is neither {{atol, rtol}} nor {{ulp}}")),
        }
    }
}

/// The position of a value among all of its storage type: neighbours differ by 1, and 0 and -0 are one.
fn position(dtype: Dtype, value: f64) -> i64 {
    let magnitude = match dtype {
        Dtype::F32 => i64::from((value.abs() as f32).to_bits()),
        Dtype::F16 => i64::from(half::f16::from_f64(value.abs()).to_bits()),
    };
    if value < 0.0 { -magnitude } else { magnitude }
}

/// Where the vectors are looked for, as it is said when they are not there.
pub const FOLDER: &str = "../shared/conformance";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(FOLDER).join("cases.json")
}

/// Whether the vectors are on this machine: they are no part of the repository.
pub fn present() -> bool {
    path().exists()
}

pub fn load() -> Vec<Vector> {
    let text = std::fs::read_to_string(path()).expect("cases.json");
    serde_json::from_str(&text).expect("vectors as the README of the folder describes them")
}
