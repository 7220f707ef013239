//! `cargo xtask test-burn`: the crate for Burn, once with Burn's fusion and once without. Burn is a heavy build.

use std::ffi::OsStr;
use std::process::ExitCode;

use crate::Stop;
use crate::command::{announce, cargo, succeed};
use crate::driver::{self, Setup};

/// The crate's name.
pub const BURN: &str = "wgpu-batchnorm-burn";

/// Runs the tests whose names contain the filter; all, where there is none.
pub fn run(setup: Setup, filter: Option<&OsStr>) -> Result<ExitCode, Stop> {
    driver::ensure_for_burn(setup)?;
    // What fusion changes is how the layer is called: the rest need not run twice.
    for features in [&[][..], &["--no-default-features", "--lib", "--tests"]] {
        let mut command = cargo();
        command.args(["test", "--release", "--package", BURN]).args(features);
        if let Some(filter) = filter {
            command.arg("--").arg(filter);
        }
        announce(&command);
        succeed(&mut command)?;
    }
    Ok(ExitCode::SUCCESS)
}
