//! `cargo xtask demo`, `cargo xtask test` and `cargo xtask test-burn`: a usable driver first, then the work.

mod burn;
mod command;
mod driver;
mod packages;
mod tally;
mod test;

use std::ffi::OsString;
use std::process::ExitCode;

use driver::Setup;
use lexopt::Arg::{Long, Short, Value};

const HELP: &str = "\
cargo xtask demo [--no-install] [ARGUMENT...]   run the demo; ARGUMENTs are the demo's own (try --help)
cargo xtask test [--no-install] [FILTER]        run every test, or those whose names contain FILTER
cargo xtask test-burn [--no-install] [FILTER]   the same of the crate for Burn, which takes minutes to build, with and
                                                without Burn's fusion

All first make sure that there is a usable driver: any adapter for the demo; for the tests Vulkan and GL on Linux,
Metal on macOS, DX12 on Windows. Where Linux has none, they install Mesa's software driver with apt-get, dnf or pacman
(with sudo when not root), and print each command before they run it.

  --no-install  only say what is missing and which command would install it
  --help        this text

Exit code: 0 success, 1 something failed, 2 wrong usage, 3 no usable driver; otherwise the demo's own.
";

/// Why there is nothing to show for it.
enum Stop {
    /// The command line makes no sense.
    Usage(String),
    /// There is no usable driver, and this cannot be helped here.
    NoDriver(String),
    /// A program that was needed did not run, or failed.
    Failed(String),
}

impl From<lexopt::Error> for Stop {
    fn from(error: lexopt::Error) -> Self {
        Self::Usage(error.to_string())
    }
}

fn main() -> ExitCode {
    let stop = match run() {
        Ok(code) => return code,
        Err(stop) => stop,
    };
    let (message, code) = match stop {
        Stop::Usage(message) => (format!("{message}\n\n{HELP}"), 2),
        Stop::NoDriver(message) => (message, 3),
        Stop::Failed(message) => (message, 1),
    };
    command::complain(&message);
    ExitCode::from(code)
}

fn run() -> Result<ExitCode, Stop> {
    let mut parser = lexopt::Parser::from_env();
    match parser.next()? {
        None => Err(Stop::Usage("what to do: demo, test or test-burn?".to_owned())),
        Some(Short('h') | Long("help")) => {
            command::say(HELP);
            Ok(ExitCode::SUCCESS)
        }
        Some(Value(task)) if task == "demo" => demo(parser.raw_args()?.collect()),
        Some(Value(task)) if task == "test" || task == "test-burn" => {
            let mut setup = Setup::Install;
            let mut filter = None;
            while let Some(argument) = parser.next()? {
                match argument {
                    Long("no-install") => setup = Setup::Say,
                    Short('h') | Long("help") => {
                        command::say(HELP);
                        return Ok(ExitCode::SUCCESS);
                    }
                    Value(name) if filter.is_none() => filter = Some(name),
                    other => return Err(other.unexpected().into()),
                }
            }
            if task == "test" {
                test::run(setup, filter.as_deref())
            } else {
                burn::run(setup, filter.as_deref())
            }
        }
        Some(other) => Err(other.unexpected().into()),
    }
}

/// Everything but `--no-install` is the demo's.
fn demo(arguments: Vec<OsString>) -> Result<ExitCode, Stop> {
    let setup =
        if arguments.iter().any(|argument| argument == "--no-install") { Setup::Say } else { Setup::Install };
    let mut arguments: Vec<_> = arguments.into_iter().filter(|argument| argument != "--no-install").collect();
    // `cargo xtask demo -- --list` by the habit of `cargo run`.
    if arguments.first().is_some_and(|argument| argument == "--") {
        arguments.remove(0);
    }
    // What only asks a question changes nothing on the machine.
    if !arguments.iter().any(|argument| argument == "--help" || argument == "-h" || argument == "--list") {
        driver::ensure_for_demo(setup, &arguments)?;
    }
    command::exit_code(driver::demo().args(arguments))
}
