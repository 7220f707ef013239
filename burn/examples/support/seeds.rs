//! Seeds, one after the other.

use std::ops::RangeInclusive;

/// What `--seed` and `--seeds` say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seeds {
    pub first: u64,
    /// At least 1.
    pub count: u64,
}

impl Seeds {
    /// All of them; a seed is 64 bits.
    pub fn range(self) -> Result<RangeInclusive<u64>, String> {
        let Self { first, count } = self;
        match first.checked_add(count.saturating_sub(1)) {
            Some(last) => Ok(first..=last),
            None => Err(format!(
                "--seed, --seeds: are {first} and {count}; the last seed needs to be at most {}",
                u64::MAX
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Seeds;

    #[test]
    fn seeds_end_where_64_bits_do() {
        assert_eq!(Seeds { first: 3, count: 2 }.range(), Ok(3..=4));
        assert_eq!(Seeds { first: u64::MAX, count: 1 }.range(), Ok(u64::MAX..=u64::MAX));
        assert!(Seeds { first: u64::MAX, count: 2 }.range().unwrap_err().contains("--seeds"));
    }
}
