//! Ctrl-C: a wish that the training loop looks at between steps.

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether somebody wants the program to stop.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

/// What a shell reports of a program that Ctrl-C ended.
pub const EXIT_CODE: u8 = 130;

impl Interrupt {
    /// The first Ctrl-C is noted; after a second one nothing is saved.
    pub fn install() -> Result<Self, ctrlc::Error> {
        let interrupt = Self::default();
        let wanted = Arc::clone(&interrupt.0);
        ctrlc::set_handler(move || {
            if wanted.swap(true, Ordering::SeqCst) {
                std::process::exit(EXIT_CODE.into());
            }
        })?;
        Ok(interrupt)
    }

    pub fn wanted(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What to type for a stopped run to go on: the same command, as a shell reads it, without `--fresh`, which would
/// throw away what was saved.
pub fn command(arguments: impl IntoIterator<Item = OsString>) -> String {
    let quoted = |argument: &str| {
        let plain = |c: char| c.is_alphanumeric() || "-_=./,:+@%".contains(c);
        if !argument.is_empty() && argument.chars().all(plain) {
            argument.to_owned()
        } else {
            format!("'{}'", argument.replace('\'', r"'\''"))
        }
    };
    let arguments = arguments.into_iter().filter(|argument| argument != "--fresh");
    let words: Vec<String> = arguments.map(|argument| quoted(&argument.to_string_lossy())).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_command_goes_on() {
        let typed = ["target/inception", "--fresh", "--data", "my digits", "--seeds", "3"];
        assert_eq!(command(typed.map(OsString::from)), "target/inception --data 'my digits' --seeds 3");
    }
}
