//! How soon the seeds of a network reached a goal, where not all of them may have.

use crate::median::median;

/// Steps of each seed; none where it never got there.
#[derive(Clone, Debug)]
pub struct Reached(pub Vec<Option<usize>>);

/// What stands for a goal that was not reached.
pub const NEVER: &str = "never";

impl Reached {
    /// The median of all seeds, "never" as infinity, and how many got there where not all did.
    pub fn show(&self) -> String {
        let Self(steps) = self;
        let reached = steps.iter().flatten().count();
        let values: Vec<f64> = steps.iter().map(|steps| steps.map_or(f64::INFINITY, |n| n as f64)).collect();
        let median = match median(&values) {
            Some(steps) if steps.is_finite() => format!("{steps:.0}"),
            _ => NEVER.to_owned(),
        };
        if reached == 0 || reached == steps.len() {
            median
        } else {
            format!("{median} ({reached} of {})", steps.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Reached;

    #[test]
    fn never_is_later_than_any_step() {
        let show = |steps: &[Option<usize>]| Reached(steps.to_vec()).show();
        assert_eq!(show(&[Some(480)]), "480");
        assert_eq!(show(&[None]), "never");
        assert_eq!(show(&[None, None]), "never");
        assert_eq!(show(&[Some(500), None, Some(480)]), "500 (2 of 3)");
        assert_eq!(show(&[None, None, Some(480)]), "never (1 of 3)");
        assert_eq!(show(&[Some(460), Some(500)]), "480");
    }
}
