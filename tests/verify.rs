//! The comparison that every other test relies on: what it lets through, what it does not, and what it says.

use wgpu_batchnorm::verify::compare;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

/// One value against another passes or fails, whichever of several bounds it has.
#[track_caller]
fn one(actual: f64, expected: f64, bounds: &[f64], passes: bool) {
    for &bound in bounds {
        let comparison = compare(&[actual], &[expected], |_| bound);
        assert_eq!(
            comparison.passed(),
            passes,
            "{actual:e} for {expected:e}, bound {bound:e}: {comparison:?}"
        );
        assert_eq!(comparison.failures, usize::from(!passes));
    }
}

const BOUNDS: &[f64] = &[0.0, 1e-300, 1.0, 1e300, f64::MAX, INF];

/// NaN is right where NaN is expected, of whichever sign and payload, and nowhere else; no bound is wide enough.
#[test]
fn nan() {
    one(NAN, NAN, BOUNDS, true);
    one(-NAN, f64::from_bits(NAN.to_bits() ^ 1), BOUNDS, true);
    for number in [0.0, -0.0, 1.0, -1e300, INF, -INF] {
        one(NAN, number, BOUNDS, false);
        one(number, NAN, BOUNDS, false);
    }
}

/// An infinity is right where the same one is expected; not the other one, not a number, however large.
#[test]
fn infinities() {
    for infinity in [INF, -INF] {
        one(infinity, infinity, BOUNDS, true);
        one(infinity, -infinity, BOUNDS, false);
        for number in [0.0, 1.0, f64::MAX, f64::MIN] {
            one(infinity, number, BOUNDS, false);
            one(number, infinity, BOUNDS, false);
        }
    }
}

/// The error of such a pair is infinite, and so is its share of every bound: it is what is worst.
#[test]
fn not_finite_is_worst() {
    for (wrong, right) in [(NAN, 1.0), (1.0, NAN), (INF, 1.0), (1.0, -INF), (INF, -INF)] {
        for bound in BOUNDS {
            let comparison = compare(&[1.0, wrong, 9.0], &[1.0, right, 1.0], |_| *bound);
            assert_eq!((comparison.worst, comparison.worst_of_bound), (INF, INF), "{comparison:?}");
            if *bound > 0.0 {
                assert_eq!(comparison.at, 1, "{comparison:?}");
            }
        }
    }
}

/// A bound of 0 takes the same value, 0 for -0 included, and not its neighbours.
#[test]
fn bound_of_zero() {
    for value in [0.0f64, 1.0, -1e300, 5e-324, f64::MIN_POSITIVE] {
        one(value, value, &[0.0], true);
        one(value.next_up(), value, &[0.0], false);
        one(value.next_down(), value, &[0.0], false);
    }
    one(0.0, -0.0, &[0.0], true);
    one(-0.0, 0.0, &[0.0], true);
    assert_eq!(compare(&[1.5], &[1.0], |_| 0.0).worst_of_bound, INF);
}

/// The bound itself passes, above and below; one unit in the last place beyond it does not.
#[test]
fn one_unit_beyond_the_bound() {
    for (expected, bound) in [(1.0f64, 0.25f64), (-3.0, 0.5), (0.0, 2f64.powi(-40)), (1024.0, 2f64.powi(-20))]
    {
        one(expected + bound, expected, &[bound], true);
        one(expected - bound, expected, &[bound], true);
        one((expected + bound).next_up(), expected, &[bound], false);
        one((expected - bound).next_down(), expected, &[bound], false);
        // As well where the bound is what is smaller.
        one(expected + bound, expected, &[bound.next_down()], false);
    }
}

/// A bound of NaN or below 0 allows nothing, not even the same value.
#[test]
fn bounds_that_allow_nothing() {
    for value in [0.0, 1.0, NAN, INF] {
        one(value, value, &[NAN, -1.0, -INF], false);
    }
    let comparison = compare(&[1.0], &[1.0], |_| NAN);
    assert_eq!((comparison.worst, comparison.worst_of_bound), (0.0, INF));
}

/// Lengths have to agree, in both directions, and the first value that has no partner is named.
#[test]
fn lengths() {
    for (actual, expected, failures, at) in [
        (&[][..], &[1.0][..], 1, 0),
        (&[1.0], &[], 1, 0),
        (&[1.0, 2.0, 3.0], &[1.0], 2, 1),
        (&[1.0, 2.0], &[1.0, 2.0, 3.0, 4.0, 5.0], 3, 2),
    ] {
        let comparison = compare(actual, expected, |_| 1e9);
        assert!(!comparison.passed());
        assert_eq!((comparison.failures, comparison.at), (failures, at), "{comparison:?}");
        assert_eq!((comparison.worst, comparison.worst_relative, comparison.worst_of_bound), (INF, INF, INF));
        let given =
            |values: &[f64], value: f64| values.get(at).map_or(value.is_nan(), |given| *given == value);
        assert!(given(actual, comparison.actual) && given(expected, comparison.expected), "{comparison:?}");
    }
    let nothing = compare(&[], &[], |_| 0.0);
    assert!(nothing.passed() && nothing.worst == 0.0 && nothing.worst_of_bound == 0.0, "{nothing:?}");
    assert!(nothing.worst_relative.is_nan());
}

/// `at` is the value that is worst by its own bound, not the one with the largest error; each index has its bound.
#[test]
fn worst_by_its_bound() {
    let expected = [10.0, 20.0, 30.0, 40.0];
    let actual = [10.5, 18.0, 30.25, 40.0];
    let bounds = [1.0, 8.0, 0.125, 0.0];
    let comparison = compare(&actual, &expected, |i| bounds[i]);
    assert_eq!((comparison.worst, comparison.worst_of_bound, comparison.at), (2.0, 2.0, 2));
    assert_eq!((comparison.actual, comparison.expected, comparison.failures), (30.25, 30.0, 1));
    assert_eq!(comparison.worst_relative, 2.0 / 40.0);
    // The first of equals.
    assert_eq!(compare(&[1.0, 3.0, 3.0], &[1.0, 2.0, 2.0], |_| 4.0).at, 1);
    // A missed bound of 0 is worse than any that is not 0.
    let comparison = compare(&[5.0, 1e-9], &[0.0, 0.0], |i| [1.0, 0.0][i]);
    assert_eq!((comparison.worst, comparison.worst_of_bound, comparison.at), (5.0, INF, 1));
    assert_eq!(comparison.failures, 2);
}

/// Every value out of bounds is counted, and the first is as good as the last.
#[test]
fn counts() {
    for wrong in 0..16u32 {
        let actual: Vec<f64> = (0..4).map(|i| f64::from(wrong >> i & 1)).collect();
        let comparison = compare(&actual, &[0.0; 4], |_| 0.5);
        assert_eq!(comparison.failures, wrong.count_ones() as usize);
        assert_eq!(comparison.passed(), wrong == 0);
        assert_eq!(comparison.at, if wrong == 0 { 0 } else { wrong.trailing_zeros() as usize });
    }
}

/// The relative error is by the largest finite magnitude expected, whichever its sign; there is none where only 0, NaN
/// or infinities are expected.
#[test]
fn relative() {
    assert_eq!(compare(&[1.0, -8.5], &[1.0, -8.0], |_| 1.0).worst_relative, 0.0625);
    assert_eq!(compare(&[4.5, INF, NAN], &[4.0, INF, NAN], |_| 1.0).worst_relative, 0.125);
    for (actual, expected) in [(0.5, 0.0), (0.0, 0.0), (NAN, NAN), (INF, INF), (1.0, NAN)] {
        let comparison = compare(&[actual], &[expected], |_| 1.0);
        assert!(comparison.worst_relative.is_nan(), "{comparison:?}");
    }
}

/// What is printed names the error, its share of the bound, where, both values and how many.
#[test]
fn message() {
    let comparison = compare(&[1.0, 2.5, 4.0], &[1.0, 2.0, 4.0], |_| 0.25);
    assert_eq!(
        comparison.to_string(),
        "worst error 5.000e-1, 2.000 of its bound, at 1: 2.5e0 for 2e0; 1 out of bounds"
    );
}
