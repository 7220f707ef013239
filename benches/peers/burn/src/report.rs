//! A Markdown table for people, rows of JSON for programs.

use serde::Serialize;

use crate::gpu::Gpu;
use crate::measure::{Cache, Times};
use crate::problem::{Dimensions, Operation};

/// One system in one cell.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub system: String,
    pub device: String,
    pub backend: String,
    pub driver: String,
    pub shape: String,
    pub operation: Operation,
    pub dtype: &'static str,
    pub layout: &'static str,
    pub cache: Cache,
    pub launches: usize,
    pub median_us: f64,
    pub q1_us: f64,
    pub q3_us: f64,
    pub min_us: f64,
    pub samples: usize,
}

/// Both systems in one cell.
#[derive(Clone, Debug)]
pub struct Cell {
    pub ours: Row,
    pub peer: Row,
    /// Burn's time in ours, turn by turn: first quartile, median, third quartile.
    pub ratios: [f64; 3],
    pub repeats: usize,
}

impl Cell {
    pub fn new(
        gpu: &Gpu,
        names: [&str; 2],
        dimensions: &Dimensions,
        operation: Operation,
        cache: Cache,
        launches: usize,
        times: &Times,
    ) -> Self {
        let row = |system: &str, launches: usize, times: &[f64]| {
            let [q1_us, median_us, q3_us] = quartiles(times);
            Row {
                system: system.to_owned(),
                device: gpu.info.name.clone(),
                backend: gpu.backend().to_owned(),
                driver: gpu.driver(),
                shape: dimensions.to_string(),
                operation,
                dtype: "f32",
                layout: "channels_first",
                cache,
                launches,
                median_us,
                q1_us,
                q3_us,
                min_us: times.iter().copied().fold(f64::INFINITY, f64::min),
                samples: times.len(),
            }
        };
        let ratios: Vec<f64> = times.peer.iter().zip(&times.ours).map(|(peer, ours)| peer / ours).collect();
        Self {
            ours: row(names[0], launches, &times.ours),
            peer: row(names[1], times.peer_launches, &times.peer),
            ratios: quartiles(&ratios),
            repeats: times.repeats,
        }
    }

    /// How many times faster ours is: the median over the turns, since what slows the machine down slows both.
    pub fn ratio(&self) -> f64 {
        self.ratios[1]
    }

    fn name(&self) -> String {
        let Row { shape, operation, cache, .. } = &self.ours;
        format!("{shape} {} {}", operation.name(), cache.name())
    }
}

/// First quartile, median and third quartile, by linear interpolation.
fn quartiles(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    [0.25, 0.5, 0.75].map(|quantile| {
        let place = quantile * (sorted.len() - 1) as f64;
        let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
        below + (above - below) * place.fract()
    })
}

/// An array of rows, one line each.
pub fn json(cells: &[Cell]) -> serde_json::Result<String> {
    let rows = cells.iter().flat_map(|cell| [&cell.ours, &cell.peer]).map(serde_json::to_string);
    Ok(format!("[\n{}\n]\n", rows.collect::<serde_json::Result<Vec<_>>>()?.join(",\n")))
}

/// The cells, one line each, then what they come to.
pub fn markdown(cells: &[Cell]) -> String {
    let Some(first) = cells.first() else { return String::new() };
    let mut text = format!(
        "| shape | operation | cache | {} ms (q1 to q3) | {} ms (q1 to q3) | times faster (q1 to q3) | launches |\n\
         |---|---|---|---|---|---|---|\n",
        first.ours.system, first.peer.system
    );
    let span = |row: &Row| {
        let [median, q1, q3] = [row.median_us, row.q1_us, row.q3_us].map(|us| us / 1e3);
        format!("{median:.3} ({q1:.3} to {q3:.3})")
    };
    for cell in cells {
        let (ours, peer, [q1, _, q3]) = (&cell.ours, &cell.peer, cell.ratios);
        text += &format!(
            "| {} | {} | {} | {} | {} | **{:.2}** ({q1:.2} to {q3:.2}) | {} : {} |\n",
            ours.shape,
            ours.operation.name(),
            ours.cache.name(),
            span(ours),
            span(peer),
            cell.ratio(),
            ours.launches,
            peer.launches,
        );
    }
    text += "\n| cells | geometric mean | worst |\n|---|---|---|\n";
    for cache in [Cache::Warm, Cache::Cold] {
        let of_cache: Vec<&Cell> = cells.iter().filter(|cell| cell.ours.cache == cache).collect();
        for operation in Operation::ALL {
            let of_operation: Vec<&Cell> =
                of_cache.iter().copied().filter(|cell| cell.ours.operation == operation).collect();
            text += &summary(&format!("{}, {}", operation.name(), cache.name()), &of_operation);
        }
        let steps: Vec<&Cell> =
            of_cache.iter().copied().filter(|cell| cell.ours.operation != Operation::Inference).collect();
        text += &summary(&format!("training and backward, {}", cache.name()), &steps);
        text += &summary(&format!("all, {}", cache.name()), &of_cache);
    }
    text
}

fn summary(title: &str, cells: &[&Cell]) -> String {
    let Some(worst) = cells.iter().min_by(|a, b| a.ratio().total_cmp(&b.ratio())) else {
        return String::new();
    };
    let logarithms: f64 = cells.iter().map(|cell| cell.ratio().ln()).sum();
    let mean = (logarithms / cells.len() as f64).exp();
    format!("| {title} ({}) | **{mean:.2}** | {:.2}, {} |\n", cells.len(), worst.ratio(), worst.name())
}
