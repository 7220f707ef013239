//! Section 3.3 of the paper, as numbers from the device: a layer with batch norm does not notice the scale of its
//! weights. `BN((aW)u) = BN(Wu)`, the gradient by u is the same, and the gradient by aW is 1/a of that by W: larger
//! weights move less, so that a large step does no lasting harm.
//!
//! `cargo run --release -p wgpu-batchnorm-burn --example scale_invariance -- --help`

#[path = "../support/gpu.rs"]
mod gpu;
mod layer;
mod options;
#[path = "../support/program.rs"]
mod program;
#[path = "../support/random.rs"]
mod random;
#[path = "../support/whole.rs"]
mod whole;

use std::error::Error;
use std::io::{Write, stdout};
use std::process::ExitCode;

use gpu::Gpu;
use layer::{EPSILON, Layer, Outcome};
use options::Options;

/// Factors of the weights. Powers of two change no digit, so that what they are off by is the device's own doing.
const FACTORS: [f32; 8] = [0.1, 0.25, 0.5, 2.0, 4.0, 10.0, 100.0, 1e3];

/// Of the largest value. Products and sums over a batch round differently for other factors than powers of two: a few
/// dozen half units in the last place, of 2^-24 each.
const BOUND: f64 = 1e-5;

fn main() -> ExitCode {
    program::run(options::parse, options::help, |options| {
        Ok(if run(options)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// Whether every difference is within its bound.
fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    let gpu = Gpu::new()?;
    let mut out = stdout().lock();
    let Options { batch, inputs, outputs, seed } = *options;
    writeln!(out, "device: {}", gpu.name)?;
    writeln!(
        out,
        "y = BN((aW)u), {batch} rows of {inputs} to {outputs} units, seed {seed}, epsilon {EPSILON}"
    )?;
    writeln!(out, "largest difference from a = 1, by the largest value there; bound {BOUND:.0e}\n")?;
    writeln!(out, "{:>8} {:>12} {:>12} {:>14} {:>8}", "a", "y", "dL/du", "a * dL/d(aW)", "")?;

    let layer = Layer::new(&gpu.device, options);
    let plain = layer.run(1.0)?;
    let mut all = true;
    for factor in FACTORS {
        let scaled = layer.run(factor)?;
        let differences = [
            difference(&scaled.y, &plain.y, 1.0),
            difference(&scaled.du, &plain.du, 1.0),
            difference(&scaled.dw, &plain.dw, f64::from(factor)),
        ];
        // Not a number is no small difference either.
        let within = differences.iter().all(|difference| *difference <= BOUND);
        all &= within;
        let [y, du, dw] = differences;
        let verdict = if within { "ok" } else { "ABOVE" };
        writeln!(out, "{factor:>8} {y:>12.1e} {du:>12.1e} {dw:>14.1e} {verdict:>8}")?;
    }
    let bias = layer.bias_gradient(&plain);
    writeln!(out, "\nA step of rate 1 against dL/d(aW) turns the weights by this part of their length:")?;
    for factor in [1.0, 10.0, 100.0] {
        let Outcome { dw, .. } = layer.run(factor)?;
        let turn = length(&dw) / (f64::from(factor) * length(&layer.weight));
        writeln!(out, "{factor:>8} {turn:>12.1e}")?;
    }
    writeln!(
        out,
        "\ndL/db of a bias before batch norm, by the largest of its terms: {bias:.1e}, as for none at all"
    )?;
    all &= bias <= BOUND;
    Ok(all)
}

/// The largest, of `factor * actual` from `expected`, by the largest expected value.
fn difference(actual: &[f32], expected: &[f32], factor: f64) -> f64 {
    let largest = expected.iter().map(|value| f64::from(value.abs())).fold(0.0, f64::max);
    let pairs = actual.iter().zip(expected);
    let differences =
        pairs.map(|(&actual, &expected)| (factor * f64::from(actual) - f64::from(expected)).abs());
    // `max` of floats would drop what is not a number.
    let worst = differences.fold(0.0, |worst, next| if next > worst || next.is_nan() { next } else { worst });
    worst / largest
}

fn length(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}
