//! What stands under the table.

use crate::curve::{Curve, best, steps_to};
use crate::options::Options;
use crate::recipe::{Change, DECAY, KEEP, MILDER};
use crate::results::{Results, baseline};

/// How to read the table, and where it is not the paper's experiment.
pub fn notes(results: &[Results], options: &Options) -> String {
    let mut lines = vec!["accuracies: the median of three neighbouring looks at the test images".to_owned()];
    match baseline(results) {
        Some(inception) => {
            lines.push("steps: to the best accuracy of Inception with the same seed".into());
            lines.push("speed-up: the steps of Inception by these".into());
            if inception.curves.len() > 1 {
                lines.extend([
                    "over seeds: the median of steps, never being infinite, and how many get there if not all;"
                        .into(),
                    "  the median of speed-ups and their range; of the best, mean +- standard deviation".into(),
                ]);
            }
            lines.extend(rising(&inception.curves, options.steps));
        }
        None => lines.push("no goal: Inception, whose best accuracy it is, is not among --variants".into()),
    }
    lines
        .push(format!("rate: of the first and the last step; it falls to {DECAY} of the first over the run"));
    lines.push(if options.undone.contains(&Change::Decay) {
        "  for all networks alike".into()
    } else {
        let faster = DECAY.powi(6);
        format!(
            "  from BN-x5 on six times faster, to {faster:.2}; the control is `--undo decay`: all fall alike"
        )
    });
    lines.extend([
        String::new(),
        "not the paper's, and alike for all networks:".into(),
        format!("  {} images a step (paper: 32)", options.batch),
        "  images of about 32 pixels, halved twice before the first module (paper: 224, three times)".into(),
        "  He initialisation; weights of the last layer so small that all scores start near 0".into(),
        format!("  where there is dropout, it keeps {KEEP} of the features (GoogLeNet: 0.6)"),
        format!("  the rate falls to {DECAY} over a run of {} steps", options.steps),
        format!("  milder distortion is {MILDER} of the full one (the paper gives no number)"),
    ]);
    lines.join("\n")
}

/// A baseline that is best at its end had not come to it.
fn rising(curves: &[Curve], steps: usize) -> Option<String> {
    let late = |curve: &&Curve| steps_to(curve, best(curve)).is_some_and(|step| 10 * step > 9 * steps);
    let rising = curves.iter().filter(late).count();
    let seeds =
        if curves.len() > 1 { format!(" ({rising} of {} seeds)", curves.len()) } else { String::new() };
    (rising > 0)
        .then(|| format!("Inception was still rising{seeds}: the speed-up depends on the length of the run"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curve::curve;

    #[test]
    fn a_baseline_that_is_best_in_the_last_tenth_was_still_rising() {
        let rises = curve(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 11]);
        let rests = curve(&[1, 2, 3, 4, 5, 6, 7, 9, 9, 9]);
        assert_eq!(rising(std::slice::from_ref(&rests), 100), None);
        assert!(
            rising(std::slice::from_ref(&rises), 100).unwrap().starts_with("Inception was still rising: the")
        );
        assert!(rising(&[rises, rests], 100).unwrap().contains("(1 of 2 seeds)"));
    }

    #[test]
    fn notes_say_when_there_is_no_goal() {
        assert!(notes(&[], &Options::default()).contains("not among --variants"));
    }

    #[test]
    fn notes_name_the_control_of_the_decay() {
        assert!(notes(&[], &Options::default()).contains("--undo decay"));
        let undone = Options { undone: vec![Change::Decay], ..Options::default() };
        assert!(!notes(&[], &undone).contains("six times faster"));
    }
}
