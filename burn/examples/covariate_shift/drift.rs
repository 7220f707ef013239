//! How far the distribution of a sigmoid's inputs moves while the network learns.

use crate::median::median;
use crate::percentiles::PERCENTS;
use crate::run::Look;

/// The range of each percentile over the looks after the first tenth of `steps`, in the mean distance between the
/// outer percentiles at these looks. A share of the width: batch norm decides how wide the inputs of a sigmoid are, so
/// that two networks could not be compared in units of the input. Later than a tenth: what a network has to do to
/// learn anything at all is no shift that could have been spared. None where the unit has no such looks, or none with
/// a width.
pub fn of_unit(looks: &[Look], unit: usize, steps: usize) -> Option<[f64; 3]> {
    let mut later = Vec::new();
    for look in looks.iter().filter(|look| 10 * look.score.step > steps) {
        let &[Some(low), Some(middle), Some(high)] = look.percentiles.get(unit)? else {
            return None;
        };
        later.push([low, middle, high].map(f64::from));
    }
    let width = later.iter().map(|[low, _, high]| high - low).sum::<f64>() / later.len() as f64;
    let range = |place: usize| {
        let values = || later.iter().map(|look| look[place]);
        values().fold(f64::NEG_INFINITY, f64::max) - values().fold(f64::INFINITY, f64::min)
    };
    (width > 0.0).then(|| [0, 1, 2].map(|place| range(place) / width))
}

/// The median over all units, of each percentile on its own.
pub fn of_layer(looks: &[Look], steps: usize) -> Option<[f64; PERCENTS.len()]> {
    let units = looks.first().map_or(0, |look| look.percentiles.len());
    let drifts: Vec<[f64; 3]> = (0..units).filter_map(|unit| of_unit(looks, unit, steps)).collect();
    let of_place = |place: usize| median(&drifts.iter().map(|drift| drift[place]).collect::<Vec<_>>());
    Some([of_place(0)?, of_place(1)?, of_place(2)?])
}

/// The unit whose middle percentile drifts as the layer's does: as many drift farther as less far.
pub fn typical(looks: &[Look], steps: usize) -> usize {
    let units = looks.first().map_or(0, |look| look.percentiles.len());
    let drift = |unit: usize| of_unit(looks, unit, steps).map(|[_, middle, _]| (unit, middle));
    let mut order: Vec<(usize, f64)> = (0..units).filter_map(drift).collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    order.get(order.len() / 2).map_or(0, |&(unit, _)| unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::Score;

    /// Looks at units whose percentiles are `width` apart.
    fn looks(medians: &[&[f32]], width: f32) -> Vec<Look> {
        let look = |(index, medians): (usize, &&[f32])| Look {
            score: Score::new(10 * index),
            percentiles: medians.iter().map(|&m| [Some(m - width), Some(m), Some(m + width)]).collect(),
        };
        medians.iter().enumerate().map(look).collect()
    }

    #[test]
    fn drift_is_a_range_in_widths() {
        // 100 steps: those at 0 and 10 are too early.
        let looks = looks(&[&[90.0], &[50.0], &[1.0], &[3.0], &[2.0]], 2.0);
        assert_eq!(of_unit(&looks, 0, 100), Some([0.5; 3]));
        assert_eq!(of_unit(&looks, 1, 100), None);
        assert_eq!(of_unit(&looks[..2], 0, 100), None);
    }

    #[test]
    fn units_without_a_width_or_a_number_do_not_count() {
        assert_eq!(of_layer(&looks(&[&[0.0], &[0.0], &[1.0]], 0.0), 10), None);
        let mut looks = looks(&[&[0.0; 3], &[0.0; 3], &[1.0, 2.0, 8.0], &[0.0; 3]], 0.5);
        looks[3].percentiles[2][1] = None;
        assert_eq!(of_layer(&looks, 20), Some([1.5; 3]));
        assert_eq!(of_layer(&[], 20), None);
    }

    #[test]
    fn the_typical_unit_is_the_one_in_the_middle() {
        let looks = looks(&[&[0.0; 3], &[0.0; 3], &[1.0, 5.0, 2.0], &[0.0; 3]], 0.5);
        assert_eq!(typical(&looks, 20), 2);
        assert_eq!(typical(&[], 20), 0);
    }
}
