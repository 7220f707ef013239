//! The curves as numbers.

use std::fmt::Write;
use std::path::Path;

use crate::checkpoint::write_whole;
use crate::results::{Results, significant};

/// One row for each look.
pub fn write(path: &Path, results: &[Results]) -> std::io::Result<()> {
    let mut text = String::from("network,rate,seed,step,accuracy,loss\n");
    for results in results {
        for (seed, curve) in (results.first_seed..=u64::MAX).zip(&results.curves) {
            for score in curve {
                let loss = score.loss.map_or_else(|| "nan".into(), |loss| loss.to_string());
                let (name, rate) = (results.variant.name(), significant(results.rates[0]));
                let _ = writeln!(text, "{name},{rate},{seed},{},{},{loss}", score.step, score.accuracy());
            }
        }
    }
    write_whole(path, &[text.as_bytes()])
}
