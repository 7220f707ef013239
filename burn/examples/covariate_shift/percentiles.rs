//! How the inputs of a sigmoid are distributed, and how that moves while the network learns.

/// The paper's, of its figure 1.
pub const PERCENTS: [usize; 3] = [15, 50, 85];

/// Of each unit, from rows with a value for every unit.
pub fn percentiles(rows: &[f32], units: usize) -> Vec<[f32; 3]> {
    let count = rows.len() / units;
    let of_unit = |unit: usize| {
        let mut values: Vec<f32> = rows.iter().skip(unit).step_by(units).copied().collect();
        values.sort_unstable_by(f32::total_cmp);
        PERCENTS.map(|percent| values[(count - 1) * percent / 100])
    };
    if count == 0 { Vec::new() } else { (0..units).map(of_unit).collect() }
}

/// How far the median of a unit's inputs travels, there and back, over a run.
pub fn travel(looks: &[&[[f32; 3]]], unit: usize) -> f64 {
    let medians: Vec<f64> = looks.iter().map(|look| f64::from(look[unit][1])).collect();
    medians.windows(2).map(|pair| (pair[1] - pair[0]).abs()).sum()
}

/// A typical unit: as many travel farther as travel less far.
pub fn typical(looks: &[&[[f32; 3]]]) -> usize {
    let units = looks.first().map_or(0, |look| look.len());
    let mut order: Vec<usize> = (0..units).collect();
    order.sort_by(|&a, &b| travel(looks, a).total_cmp(&travel(looks, b)));
    order.get(units / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_each_unit() {
        let rows: Vec<f32> = (0..=100).rev().flat_map(|value| [value as f32, -1.0]).collect();
        assert_eq!(percentiles(&rows, 2), [[15.0, 50.0, 85.0], [-1.0; 3]]);
        assert!(percentiles(&[], 2).is_empty());
    }

    #[test]
    fn the_typical_unit_is_the_one_in_the_middle() {
        let look = |medians: [f32; 3]| medians.map(|median| [0.0, median, 0.0]);
        let looks = [look([0.0, 0.0, 0.0]), look([1.0, 5.0, 2.0]), look([0.0, 0.0, 0.0])];
        let looks: Vec<&[[f32; 3]]> = looks.iter().map(|look| look.as_slice()).collect();
        assert_eq!((travel(&looks, 1), typical(&looks)), (10.0, 2));
    }
}
