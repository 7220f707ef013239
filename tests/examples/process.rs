//! Runs the examples as processes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a process said, and how it ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Examples are built into a folder beside that of the tests.
pub fn binary(example: &str) -> PathBuf {
    let test = std::env::current_exe().expect("path of the test");
    let profile = test.parent().and_then(Path::parent).expect("target/profile/deps/test");
    profile.join("examples").join(format!("{example}{}", std::env::consts::EXE_SUFFIX))
}

pub fn run<S: AsRef<std::ffi::OsStr>>(example: &str, arguments: impl IntoIterator<Item = S>) -> Ended {
    let binary = binary(example);
    let output = Command::new(&binary).args(arguments).stdin(Stdio::null()).output();
    let output = output
        .unwrap_or_else(|error| panic!("{}: {error}; cargo build --examples makes it", binary.display()));
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs run_case on files of a folder.
pub fn run_case(backend: &str, folder: &Path, files: &[&str], more: &[&str]) -> Ended {
    let files = files.iter().map(|file| folder.join(file).into_os_string());
    let more = ["--backend", backend].into_iter().chain(more.iter().copied()).map(OsString::from);
    run("run_case", files.chain(more))
}

pub fn is_present(backend: &str) -> bool {
    binary("run_case").exists() && run("run_case", ["--list", "--backend", backend]).code == Some(0)
}
