//! Grids: arithmetic without choices.

use crate::caps::Caps;
use crate::error::Error;

/// Folds a one-dimensional grid into two dimensions that the device allows, with few workgroups too many.
pub(super) fn fold(workgroups: u32, caps: &Caps) -> Result<[u32; 2], Error> {
    let got = u64::from(caps.max_workgroups);
    let rows = u64::from(workgroups).div_ceil(got.max(1)).max(1);
    if rows > got {
        let limit = "max_compute_workgroups_per_dimension";
        // The root, rounded up.
        let needs = u64::from(workgroups.saturating_sub(1)).isqrt() + 1;
        return Err(Error::Limit { argument: "kernel", limit, got, needs });
    }
    // Both fit: rows is at most `got`, and so is the number of columns.
    Ok([workgroups.div_ceil(rows as u32), rows as u32])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(max_workgroups: u32) -> Caps {
        Caps { max_workgroups, ..Caps::WEBGPU }
    }

    #[test]
    fn a_grid_covers_its_workgroups_and_stays_within_the_limit() {
        for max in [1, 2, 3, 7, 65_535] {
            for workgroups in [0, 1, 2, 3, 48, 49, 65_535, 65_536, 70_001, 1 << 20] {
                let [x, y] = match fold(workgroups, &caps(max)) {
                    Ok(grid) => grid,
                    Err(Error::Limit { needs, .. }) => {
                        let covers = |size: u64| size * size >= u64::from(workgroups);
                        assert!(needs > max.into() && covers(needs) && !covers(needs - 1), "{workgroups}");
                        continue;
                    }
                    Err(error) => panic!("{error}"),
                };
                assert!(x <= max && y <= max, "{workgroups} in {max}: {x}x{y}");
                assert!(x * y >= workgroups && x * y - workgroups < x.max(y), "{workgroups}: {x}x{y}");
            }
        }
    }
}
