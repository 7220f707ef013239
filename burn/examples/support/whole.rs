//! Whole numbers on the command line.

use std::ops::RangeInclusive;

use lexopt::prelude::ValueExt;

/// The value of an option, or an error that says what is wrong with it.
pub fn whole(
    parser: &mut lexopt::Parser,
    option: &str,
    range: RangeInclusive<usize>,
) -> Result<usize, lexopt::Error> {
    let text = parser.value()?.string()?;
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => {
            let (low, high) = range.into_inner();
            let range = if high == usize::MAX {
                format!("of at least {low}")
            } else {
                format!("from {low} to {high}")
            };
            Err(format!("{option}: is {text:?}, needs to be a whole number {range}").into())
        }
    }
}
