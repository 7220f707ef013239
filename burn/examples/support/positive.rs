//! Numbers above 0 on the command line.

use lexopt::prelude::ValueExt;

/// The value of an option, or an error that says what is wrong with it.
pub fn positive(parser: &mut lexopt::Parser, option: &str, most: f64) -> Result<f64, lexopt::Error> {
    let text = parser.value()?.string()?;
    match text.parse() {
        Ok(number) if number > 0.0 && number <= most => Ok(number),
        _ => Err(format!("{option}: is {text:?}, needs to be a number above 0 and up to {most}").into()),
    }
}
