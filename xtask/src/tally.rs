//! Counts what test programs print, in the format that libtest and libtest-mimic share.

use std::fmt;

/// The backends by which the names of tests begin, as in `vulkan/default/training::grid`.
const BACKENDS: [&str; 4] = ["vulkan", "metal", "dx12", "gl"];

/// Tests by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Count {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
}

impl Count {
    pub fn ran(self) -> u64 {
        self.passed + self.failed
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// The sum over all test programs of one run.
#[derive(Default)]
pub struct Tally {
    /// The line that is not yet complete.
    line: Vec<u8>,
    /// By the summaries of the programs.
    total: Count,
    /// By the names of the tests.
    backends: [Count; BACKENDS.len()],
}

impl Tally {
    /// Takes the next bytes of the output.
    pub fn read(&mut self, output: &[u8]) {
        for &byte in output {
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                self.read_line(&String::from_utf8_lossy(&line));
            } else {
                self.line.push(byte);
            }
        }
    }

    fn read_line(&mut self, line: &str) {
        let Some(line) = line.strip_prefix("test ") else { return };
        if let Some(summary) = line.strip_prefix("result: ") {
            self.total.passed += number_before(summary, " passed");
            self.total.failed += number_before(summary, " failed");
            self.total.skipped += number_before(summary, " ignored");
        } else if let Some((name, outcome)) = line.rsplit_once(" ... ") {
            let Some((backend, _)) = name.split_once('/') else { return };
            let Some(index) = BACKENDS.iter().position(|&known| known == backend) else { return };
            let count = &mut self.backends[index];
            match outcome.trim() {
                "ok" => count.passed += 1,
                "FAILED" => count.failed += 1,
                _ => count.skipped += 1,
            }
        }
    }

    pub fn total(&self) -> Count {
        self.total
    }

    /// The backends that tests ran on.
    pub fn backends(&self) -> impl Iterator<Item = (&'static str, Count)> {
        BACKENDS.into_iter().zip(self.backends).filter(|&(_, count)| count != Count::default())
    }

    /// What no backend's name stands before.
    pub fn without_device(&self) -> Count {
        self.backends().fold(self.total, |rest, (_, count)| Count {
            passed: rest.passed.saturating_sub(count.passed),
            failed: rest.failed.saturating_sub(count.failed),
            skipped: rest.skipped.saturating_sub(count.skipped),
        })
    }
}

/// The number that stands before the word: 12 in `ok. 12 passed; 0 failed`.
fn number_before(text: &str, word: &str) -> u64 {
    let Some((before, _)) = text.split_once(word) else { return 0 };
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Count, Tally};

    const OUTPUT: &str = "
running 3 tests
test plan::tests::grid ... ok
test plan::tests::names - should panic ... ok
test slow ... ignored, takes an hour

test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.01s

running 5 tests
test vulkan/default/training::grid ... ok
test vulkan/full/training::grid    ... FAILED
test gl/default/training::grid     ... ok
test gl/default/training::f16      ... ignored
test gl/adapter                    ... FAILED

test result: FAILED. 2 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.50s

test src/lib.rs - (line 14) - compile ... ok
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn counts_by_backend_and_in_all() {
        let count = |passed, failed, skipped| Count { passed, failed, skipped };
        // However the output is cut into pieces.
        for size in [1, 7, OUTPUT.len()] {
            let mut tally = Tally::default();
            OUTPUT.as_bytes().chunks(size).for_each(|piece| tally.read(piece));
            assert_eq!(tally.total(), count(5, 2, 2));
            let backends: Vec<_> = tally.backends().collect();
            assert_eq!(backends, [("vulkan", count(1, 1, 0)), ("gl", count(1, 1, 1))]);
            assert_eq!(tally.without_device(), count(3, 0, 1));
        }
    }

    #[test]
    fn survives_any_output() {
        let mut tally = Tally::default();
        tally.read(
            b"test result: \xff passed; 99999999999999999999999 failed;\ntest vulkan/ ... \ntest  ... ok\n",
        );
        assert_eq!(tally.total(), Count::default());
    }

    #[test]
    fn says_skipped_only_where_there_are_some() {
        assert_eq!(Count { passed: 3, failed: 0, skipped: 0 }.to_string(), "3 passed, 0 failed");
        assert_eq!(Count { passed: 3, failed: 1, skipped: 2 }.to_string(), "3 passed, 1 failed, 2 skipped");
    }
}
