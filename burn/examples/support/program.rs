//! What a program does around its work: the command line before it, the exit code after it.

use std::error::Error;
use std::ffi::OsString;
use std::io::{Write, stderr, stdout};
use std::process::ExitCode;

/// The command line, or the wish to know it.
#[derive(Debug, PartialEq)]
pub enum Command<Options> {
    Help,
    Run(Options),
}

/// What was wrong with the arguments, as most programs report it.
const WRONG_ARGUMENTS: u8 = 2;

/// Reads the command line, and works.
pub fn run<Options>(
    parse: impl FnOnce(Vec<OsString>) -> Result<Command<Options>, lexopt::Error>,
    help: impl FnOnce() -> String,
    work: impl FnOnce(&Options) -> Result<ExitCode, Box<dyn Error>>,
) -> ExitCode {
    // Who closed the other end of a pipe does not want to read on.
    match parse(std::env::args_os().collect()) {
        Ok(Command::Run(options)) => work(&options).unwrap_or_else(|error| {
            let _ = writeln!(stderr(), "{error}");
            ExitCode::FAILURE
        }),
        Ok(Command::Help) => {
            let _ = writeln!(stdout(), "{}", help());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(stderr(), "{error}\n\n{}", help());
            ExitCode::from(WRONG_ARGUMENTS)
        }
    }
}
