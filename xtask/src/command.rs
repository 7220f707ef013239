//! Running other programs, and speaking to the terminal. Nothing here panics when the terminal is gone.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};

use crate::Stop;

/// The cargo that runs this program.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Writes to stdout at once.
pub fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Writes why this program stops.
pub fn complain(message: &str) {
    let _ = writeln!(std::io::stderr(), "xtask: {}", message.trim_end());
}

/// Shows the command as one would type it.
pub fn announce(command: &Command) {
    let program = command.get_program();
    let words: Vec<_> = std::iter::once(Path::new(program).file_stem().unwrap_or(program))
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    say(&format!("$ {}\n", words.join(" ")));
}

/// Runs the command to its end, on this terminal.
pub fn status(command: &mut Command) -> Result<ExitStatus, Stop> {
    command.status().map_err(|error| unstartable(command, &error))
}

/// Runs the command to its end, and is a failure where it is.
pub fn succeed(command: &mut Command) -> Result<(), Stop> {
    let status = status(command)?;
    if status.success() {
        return Ok(());
    }
    Err(Stop::Failed(format!("{} failed: {status}", command.get_program().to_string_lossy())))
}

/// Runs the command to its end and takes over its exit code.
pub fn exit_code(command: &mut Command) -> Result<ExitCode, Stop> {
    let status = status(command)?;
    match status.code() {
        Some(code) => Ok(ExitCode::from(u8::try_from(code).unwrap_or(1))),
        None => Err(Stop::Failed(format!("it ended by {status}"))),
    }
}

pub fn unstartable(command: &Command, error: &std::io::Error) -> Stop {
    Stop::Failed(format!("{} does not start: {error}", command.get_program().to_string_lossy()))
}

/// Where the program is, if it is on the PATH.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
