//! `cargo xtask test`: one `cargo test` over the workspace, so that nothing is left out and nothing runs twice, with
//! its output passed on as it comes and counted by backend. The crate for Burn has a task of its own: see `burn.rs`.

use std::ffi::OsStr;
use std::io::{ErrorKind, Read, Write};
use std::process::{ExitCode, Stdio};

use crate::Stop;
use crate::burn::BURN;
use crate::command::{announce, cargo, complain, say, unstartable};
use crate::driver::{self, REQUIRED, Setup};
use crate::tally::Tally;

/// Runs the tests whose names contain the filter; all, where there is none.
pub fn run(setup: Setup, filter: Option<&OsStr>) -> Result<ExitCode, Stop> {
    driver::ensure_for_tests(setup)?;
    // A backend without an adapter is then a failure, not an omission.
    say(&format!("WGPU_BATCHNORM_REQUIRE={}\n", REQUIRED.join(",")));
    let mut command = cargo();
    command.args(["test", "--release", "--workspace", "--exclude", BURN, "--all-features", "--no-fail-fast"]);
    if let Some(filter) = filter {
        command.arg("--").arg(filter);
    }
    command.env("WGPU_BATCHNORM_REQUIRE", REQUIRED.join(","));
    announce(&command);

    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| unstartable(&command, &error))?;
    let mut tally = Tally::default();
    if let Some(mut output) = child.stdout.take() {
        let mut stdout = std::io::stdout().lock();
        let mut piece = [0; 4096];
        loop {
            match output.read(&mut piece) {
                Ok(0) => break,
                Ok(length) => {
                    tally.read(&piece[..length]);
                    let _ = stdout.write_all(&piece[..length]).and_then(|()| stdout.flush());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Stop::Failed(format!("the tests' output breaks off: {error}"))),
            }
        }
    }
    let status = child.wait().map_err(|error| unstartable(&command, &error))?;

    let mut total = tally.total();
    if !status.success() && total.failed == 0 {
        complain(&format!("cargo test: {status}, though no test says that it failed"));
        total.failed += 1;
    }
    for &backend in REQUIRED {
        let ran = tally.backends().any(|(name, count)| name == backend && count.ran() > 0);
        if status.success() && filter.is_none() && !ran {
            complain(&format!("no test ran on {backend}"));
            total.failed += 1;
        }
    }
    if total.ran() == 0 {
        return Err(Stop::Failed("no test ran".to_owned()));
    }

    say("\n");
    for (backend, count) in tally.backends() {
        say(&format!("{backend:<17} {count}\n"));
    }
    say(&format!("{:<17} {}\n", "without a device", tally.without_device()));
    say(&format!("{total}\n"));
    Ok(if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
