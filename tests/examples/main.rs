//! The examples as a user meets them: processes with arguments, files, output and an exit code.
//!
//! `cargo test` builds them beside the tests; `cargo test --test examples` alone does not, and runs those that are there.
//! What needs an adapter runs on each backend that `run_case --list` finds. Without any it is shown as ignored;
//! `WGPU_BATCHNORM_REQUIRE=vulkan,gl` makes a missing one a failure.

mod command_line;
mod demo_and_embed;
mod files;
mod layers;
mod process;
mod run_case;

use libtest_mimic::{Arguments, Failed, Trial};
use process::is_present;

/// A test that needs no adapter.
type Plain = (&'static str, fn());
/// A test that runs on the backend of that name.
type OnBackend = (&'static str, fn(&str));

const EXAMPLES: [&str; 3] = ["demo", "embed", "run_case"];
const BACKENDS: [&str; 4] = ["vulkan", "metal", "dx12", "gl"];

const PLAIN: &[Plain] = &[
    ("help", command_line::help),
    ("wrong_arguments", command_line::wrong_arguments),
    ("no_adapter", command_line::no_adapter),
    ("run_case_without_files", command_line::run_case_without_files),
];
const ON_BACKEND: &[OnBackend] = &[
    ("list", command_line::list),
    ("embed", demo_and_embed::embed),
    ("exit_codes", run_case::exit_codes),
    ("unusable_files", run_case::unusable_files),
    ("expected_files", run_case::expected_files),
    ("written_files", run_case::written_files),
    ("nothing_is_written_over", run_case::nothing_is_written_over),
    ("conventions", run_case::conventions),
    ("gradients_in_inference", layers::gradients_in_inference),
    ("residual_in_training", layers::residual_in_training),
    ("statistics_of_the_backward_pass", layers::statistics_of_the_backward_pass),
    ("updates", layers::updates),
    ("expected_of_layers", layers::expected_of_layers),
    ("activations", layers::activations),
];
/// Too slow where nothing is optimized.
const SLOW_ON_BACKEND: &[OnBackend] = &[("demo", demo_and_embed::demo)];

fn main() {
    let arguments = Arguments::from_args();
    let present: Vec<&str> = BACKENDS.into_iter().filter(|backend| is_present(backend)).collect();
    let required = std::env::var("WGPU_BATCHNORM_REQUIRE").unwrap_or_default();
    let mut trials: Vec<Trial> =
        PLAIN.iter().map(|&(name, test)| trial(&format!("examples::{name}"), test)).collect();
    for backend in required.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if !present.contains(&backend) {
            let message = format!("no {backend} adapter, but WGPU_BATCHNORM_REQUIRE names it");
            let fail = move || Err(Failed::from(message));
            trials.push(Trial::test(format!("{backend}/examples::adapter"), fail));
        }
    }
    let all = ON_BACKEND.iter().map(|test| (test, false));
    for (&(name, test), slow) in all.chain(SLOW_ON_BACKEND.iter().map(|test| (test, true))) {
        if present.is_empty() {
            trials.push(trial(&format!("no-adapter/examples::{name}"), || ()).with_ignored_flag(true));
        }
        for &backend in &present {
            let trial = trial(&format!("{backend}/examples::{name}"), move || test(backend));
            trials.push(trial.with_ignored_flag(slow && cfg!(debug_assertions)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}
