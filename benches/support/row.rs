//! A measurement as programs read it: the rows of the JSON files, ours and those of peers.

use std::error::Error;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::statistics::Quartiles;

/// One system in one cell. Times are microseconds per operation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Row {
    pub system: String,
    pub device: String,
    pub backend: String,
    pub driver: String,
    /// Channels second, whatever the layout.
    pub shape: String,
    /// `training`, `inference`, `backward` or `copy`.
    pub operation: String,
    pub dtype: String,
    pub layout: String,
    /// The plan's strategy, or the kind of copy.
    pub variant: String,
    /// The plan in one line.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub plan: String,
    /// Whether this is what the plan takes by itself. False only where a strategy was forced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen: Option<bool>,
    /// `cold` or `warm`.
    pub cache: String,
    /// `timestamps`, `wall` or `cuda_events`.
    pub timer: String,
    /// How often memory of the size of the tensor is read or written, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launches: Option<usize>,
    /// Passes times the tensor; the least that is needed where the passes are not known.
    pub bytes: u64,
    pub median_us: f64,
    pub q1_us: f64,
    pub q3_us: f64,
    pub min_us: f64,
    pub samples: usize,
    pub samples_us: Vec<f64>,
    /// By the median.
    pub gb_per_s: f64,
    /// Best copy of the tensor in the same run and the same state of the cache: reads and writes it once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_us: Option<f64>,
    /// `gb_per_s` by that of the copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of_copy: Option<f64>,
    /// Time of the fewest passes at the speed of the copy, by the median.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of_roofline: Option<f64>,
}

impl Row {
    /// With its samples.
    pub fn timed(mut self, samples: &[f64]) -> Self {
        let Quartiles { q1, median, q3, min } = Quartiles::of(samples);
        let gb_per_s = self.bytes as f64 / median * 1e-3;
        (self.q1_us, self.median_us, self.q3_us) = (significant(q1), significant(median), significant(q3));
        (self.min_us, self.gb_per_s) = (significant(min), significant(gb_per_s));
        self.samples = samples.len();
        self.samples_us = samples.iter().map(|&sample| significant(sample)).collect();
        self
    }

    /// With its fractions of a copy of the tensor that takes so long.
    pub fn against_copy(mut self, copy_us: f64, tensor: u64, minimal_passes: u32) -> Self {
        let rate = 2.0 * tensor as f64 / copy_us * 1e-3;
        self.copy_us = Some(significant(copy_us));
        self.of_copy = Some(significant(self.gb_per_s / rate));
        self.of_roofline = Some(significant(f64::from(minimal_passes) * 0.5 * copy_us / self.median_us));
        self
    }
}

/// Five digits: more is noise, and makes files long.
fn significant(value: f64) -> f64 {
    format!("{value:.4e}").parse().unwrap_or(value)
}

/// Writes rows one to a line, so that files compare line by line.
pub fn write<T: Serialize>(path: &Path, rows: &[T]) -> Result<(), Box<dyn Error>> {
    let lines = rows.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    let mut file = std::fs::File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
    writeln!(file, "[\n{}\n]", lines.join(",\n"))?;
    Ok(())
}
