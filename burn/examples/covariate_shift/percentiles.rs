//! How the inputs of a sigmoid are distributed.

/// The paper's, of its figure 1.
pub const PERCENTS: [usize; 3] = [15, 50, 85];

/// Of one unit; none where it is not finite, which JSON has no number for.
pub type Percentiles = [Option<f32>; 3];

/// Of each unit, from rows with a value for every unit.
pub fn percentiles(rows: &[f32], units: usize) -> Vec<Percentiles> {
    let count = rows.len() / units;
    let of_unit = |unit: usize| {
        let mut values: Vec<f32> = rows.iter().skip(unit).step_by(units).copied().collect();
        values.sort_unstable_by(f32::total_cmp);
        PERCENTS.map(|percent| Some(values[(count - 1) * percent / 100]).filter(|value| value.is_finite()))
    };
    if count == 0 { Vec::new() } else { (0..units).map(of_unit).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_each_unit() {
        let rows: Vec<f32> = (0..=100).rev().flat_map(|value| [value as f32, -1.0]).collect();
        assert_eq!(percentiles(&rows, 2), [[Some(15.0), Some(50.0), Some(85.0)], [Some(-1.0); 3]]);
        assert!(percentiles(&[], 2).is_empty());
    }

    #[test]
    fn what_is_not_finite_is_none_and_is_saved() {
        let found = percentiles(&[0.0, 1.0, f32::NAN, f32::INFINITY], 1);
        assert_eq!(found, [[Some(0.0), Some(1.0), Some(f32::INFINITY)].map(|v| v.filter(|v| v.is_finite()))]);
        let saved = serde_json::to_string(&found).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Percentiles>>(&saved).unwrap(), found);
    }
}
