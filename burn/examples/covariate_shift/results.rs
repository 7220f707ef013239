//! What came of one network, seed by seed.

use crate::curve::{self, Curve};
use crate::run::Look;

/// The looks at a network.
#[derive(Debug)]
pub struct Results {
    pub name: &'static str,
    pub colour: (u8, u8, u8),
    /// Each seed, and its run.
    pub runs: Vec<(u64, Vec<Look>)>,
}

impl Results {
    pub fn curves(&self) -> Vec<Curve> {
        self.runs.iter().map(|(_, looks)| looks.iter().map(|look| look.score).collect()).collect()
    }

    /// The best accuracy of each seed.
    pub fn best(&self) -> Vec<f64> {
        self.curves().iter().map(|curve| curve::best(curve)).collect()
    }
}
