//! The curves as numbers.

use std::fmt::Write;
use std::path::Path;

use crate::checkpoint::write_whole;
use crate::drift::typical;
use crate::results::Results;

/// One row for each look: accuracy, loss, and the percentiles of the typical unit of that run.
pub fn write(path: &Path, results: &[Results], steps: usize) -> std::io::Result<()> {
    let mut text = String::from("network,seed,step,accuracy,loss,unit,p15,p50,p85\n");
    let number = |value: Option<f32>| value.map_or_else(|| "nan".into(), |value| value.to_string());
    for results in results {
        for (seed, looks) in &results.runs {
            let unit = typical(looks, steps);
            for look in looks {
                let [low, median, high] = look.percentiles.get(unit).copied().unwrap_or_default().map(number);
                let (step, accuracy, loss) =
                    (look.score.step, look.score.accuracy(), number(look.score.loss));
                let name = results.name;
                let _ = writeln!(text, "{name},{seed},{step},{accuracy},{loss},{unit},{low},{median},{high}");
            }
        }
    }
    write_whole(path, &[text.as_bytes()])
}
