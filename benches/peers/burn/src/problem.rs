//! What is computed: a shape, an operation, inputs, and what the results should be.

use std::error::Error;
use std::str::FromStr;

use serde::Serialize;
use wgpu_batchnorm::reference::{self, Statistics};
use wgpu_batchnorm::verify::{Comparison, compare};
use wgpu_batchnorm::{Dtype, RunningVariance, Shape};

pub const EPS: f32 = 1e-5;
pub const MOMENTUM: f32 = 0.1;

/// Error allowed, relative to the largest value expected. Burn adds its sums up in plain f32, over up to 4e5 values
/// here, and a real mistake (another eps, an unbiased variance, a channel mixed up) is far above it.
const TOLERANCE: f64 = 1e-3;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    Training,
    Inference,
    Backward,
}

impl Operation {
    pub const ALL: [Self; 3] = [Self::Training, Self::Inference, Self::Backward];

    pub fn name(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Inference => "inference",
            Self::Backward => "backward",
        }
    }
}

/// Dimensions with the channels second, as in `32x64x28x28` or `1024x512`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dimensions(pub Vec<usize>);

impl Dimensions {
    /// Sized for a software driver on a few cores.
    pub fn small() -> Vec<Self> {
        Self::list(&["32x64x28x28", "16x64x56x56", "32x128x28x28", "32x256x14x14", "64x512x7x7", "1024x512"])
    }

    /// Layers of ResNet-50 and Inception at a batch of 32, and a fully connected one.
    pub fn full() -> Vec<Self> {
        Self::list(&[
            "32x64x112x112",
            "32x256x56x56",
            "32x512x28x28",
            "32x1024x14x14",
            "32x2048x7x7",
            "32x192x28x28",
            "32x1024x7x7",
            "4096x1024",
        ])
    }

    fn list(names: &[&str]) -> Vec<Self> {
        names.iter().map(|name| name.parse().expect("dimensions")).collect()
    }

    pub fn shape(&self) -> Result<Shape, wgpu_batchnorm::Error> {
        Shape::new(&self.0, 1, Dtype::F32)
    }
}

impl FromStr for Dimensions {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let dimensions: Result<Vec<usize>, _> = text.split('x').map(str::parse).collect();
        match dimensions {
            Ok(dimensions) if (2..=5).contains(&dimensions.len()) && !dimensions.contains(&0) => {
                Ok(Self(dimensions))
            }
            _ => Err(format!("is {text:?}, needs 2 to 5 positive dimensions, as in 32x64x28x28")),
        }
    }
}

impl std::fmt::Display for Dimensions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<String> = self.0.iter().map(usize::to_string).collect();
        f.write_str(&names.join("x"))
    }
}

/// The inputs of a layer, and its results by the f64 reference.
pub struct Problem {
    pub dimensions: Dimensions,
    pub shape: Shape,
    pub x: Vec<f32>,
    pub dy: Vec<f32>,
    pub gamma: Vec<f32>,
    pub beta: Vec<f32>,
    pub running_mean: Vec<f32>,
    pub running_var: Vec<f32>,
    expected: [Vec<Expected>; 3],
}

/// A result by name.
type Expected = (&'static str, Vec<f64>);

impl Problem {
    /// Kind data: offsets of a few standard deviations. How exact each system is on unkind data is another test.
    pub fn new(dimensions: &Dimensions) -> Result<Self, Box<dyn Error>> {
        let shape = dimensions.shape()?;
        let mut random = Random(0x5eed);
        let channels = shape.channels() as usize;
        let mut each = |mean: f64, spread: f64| -> Vec<f32> {
            (0..channels).map(|_| (mean + spread * random.normal()) as f32).collect()
        };
        let (gamma, beta, running_mean) = (each(1.0, 0.3), each(0.0, 1.0), each(0.5, 0.5));
        let running_var: Vec<f32> = each(1.0, 0.2).iter().map(|value| value.abs() + 0.05).collect();
        let (len, inner) = (shape.len() as usize, shape.inner() as usize);
        let x: Vec<f32> =
            (0..len).map(|index| running_mean[index / inner % channels] + random.normal() as f32).collect();
        let dy: Vec<f32> = (0..len).map(|_| random.normal() as f32).collect();

        let wide = |values: &[f32]| -> Vec<f64> { values.iter().map(|&value| value.into()).collect() };
        let (gamma64, beta64, eps) = (wide(&gamma), wide(&beta), EPS.into());
        let (x64, dy64) = (wide(&x), wide(&dy));
        let running = Statistics { mean: wide(&running_mean), variance: wide(&running_var) };
        let batch = reference::statistics(&shape, &x64)?;
        let normalized = |statistics: &Statistics| {
            reference::normalize(&shape, &x64, statistics, Some(&gamma64), Some(&beta64), eps)
        };
        // Burn's running variance is the biased one.
        let variance = RunningVariance::Biased;
        let updated = reference::update_running(&shape, &running, &batch, MOMENTUM.into(), variance)?;
        let gradients = reference::backward(&shape, &x64, &dy64, &batch, Some(&gamma64), eps)?;
        let expected = [
            vec![
                ("y", normalized(&batch)?),
                ("running_mean", updated.mean),
                ("running_var", updated.variance),
            ],
            vec![("y", normalized(&running)?)],
            vec![("dx", gradients.dx), ("dgamma", gradients.dgamma), ("dbeta", gradients.dbeta)],
        ];
        let dimensions = dimensions.clone();
        Ok(Self { dimensions, shape, x, dy, gamma, beta, running_mean, running_var, expected })
    }

    /// How many results an operation has.
    pub fn results(&self, operation: Operation) -> usize {
        self.expected[operation as usize].len()
    }

    /// Holds the first results of an operation against the reference, or all of them; gives the worst error.
    pub fn check(
        &self,
        system: &str,
        operation: Operation,
        actual: &[Vec<f32>],
    ) -> Result<f64, Box<dyn Error>> {
        let expected = &self.expected[operation as usize];
        let mut worst = 0.0f64;
        for ((name, expected), actual) in expected.iter().zip(actual) {
            let actual: Vec<f64> = actual.iter().map(|&value| value.into()).collect();
            let largest = expected.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
            let comparison: Comparison = compare(&actual, expected, |_| TOLERANCE * largest);
            if !comparison.passed() {
                let (operation, dimensions) = (operation.name(), &self.dimensions);
                return Err(
                    format!("{system}, {dimensions}, {operation}: {name} is wrong: {comparison}").into()
                );
            }
            worst = worst.max(comparison.worst_relative);
        }
        Ok(worst)
    }
}

/// SplitMix64 (Steele, Lea & Flood 2014).
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Standard normal, by Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (2.0 * std::f64::consts::PI * self.uniform()).cos()
    }
}
