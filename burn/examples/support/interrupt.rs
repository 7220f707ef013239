//! Ctrl-C: a wish that the training loop looks at between steps.

use std::error::Error;
use std::ffi::OsString;
use std::io::{Write, stderr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::run_error::RunError;

/// Whether somebody wants the program to stop.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

/// What a shell reports of a program that Ctrl-C ended.
const EXIT_CODE: u8 = 130;

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

/// Of a program whose work ended so. Who stopped it is told how to go on; any other error is passed on.
pub fn exit_code(outcome: Result<(), Box<dyn Error>>) -> Result<ExitCode, Box<dyn Error>> {
    match outcome {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if matches!(error.downcast_ref(), Some(RunError::Interrupted)) => {
            let _ = writeln!(stderr(), "{error}\nto go on: {}", command(std::env::args_os()));
            Ok(ExitCode::from(EXIT_CODE))
        }
        Err(error) => Err(error),
    }
}

/// What to type for a stopped run to go on: the same command, as a shell reads it, without `--fresh`, which would
/// throw away what was saved.
fn command(arguments: impl IntoIterator<Item = OsString>) -> String {
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
