//! The tests that need a device. Each runs on every adapter there is, once with WebGPU's default limits and no
//! features, once with all that the adapter has.
//!
//! Without an adapter they are shown as ignored. `WGPU_BATCHNORM_REQUIRE=vulkan,gl` makes a missing one a failure.

mod support;

mod backward;
mod conformance;
mod features;
mod fold;
mod goldens;
mod hostile;
mod inference;
mod invariants;
mod large;
mod limits;
mod misuse;
mod property;
mod readback;
mod readme;
mod stages;
mod surface;
mod training;

use libtest_mimic::{Arguments, Failed, Trial};
use support::gpu::{self, Gpu};
use support::vectors;

/// A test: its name and what it does on a device.
type Test = (&'static str, fn(&Gpu));

/// The modules of tests.
const MODULES: &[(&str, &[Test])] = &[
    ("readme", readme::TESTS),
    ("training", training::TESTS),
    ("inference", inference::TESTS),
    ("backward", backward::TESTS),
    ("conformance", conformance::TESTS),
    ("goldens", goldens::TESTS),
    ("hostile", hostile::TESTS),
    ("large", large::TESTS),
    ("fold", fold::TESTS),
    ("stages", stages::TESTS),
    ("invariants", invariants::TESTS),
    ("misuse", misuse::TESTS),
    ("limits", limits::TESTS),
    ("readback", readback::TESTS),
    ("property", property::TESTS),
    ("surface", surface::TESTS),
    ("features", features::TESTS),
];

fn main() {
    let arguments = Arguments::from_args();
    let devices = gpu::devices();
    let mut trials = Vec::new();
    for backend in gpu::required() {
        if !devices.iter().any(|gpu| gpu.backend() == backend) {
            let message = format!("no {backend} adapter, but WGPU_BATCHNORM_REQUIRE names it");
            trials.push(Trial::test(format!("{backend}/adapter"), move || Err(Failed::from(message))));
        }
    }
    for (module, tests) in MODULES {
        for &(name, test) in *tests {
            // Read where they lie, outside of the repository: without them there is nothing to run.
            let absent = *module == "conformance" && !vectors::present();
            let name = if absent { format!("{name} [{} absent]", vectors::FOLDER) } else { name.to_owned() };
            if devices.is_empty() {
                trials.push(
                    Trial::test(format!("no-adapter/{module}::{name}"), || Ok(())).with_ignored_flag(true),
                );
            }
            for gpu in &devices {
                let gpu = gpu.clone();
                let trial = Trial::test(format!("{}/{module}::{name}", gpu.name()), move || {
                    test(&gpu.anew());
                    Ok(())
                });
                trials.push(trial.with_ignored_flag(absent));
            }
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}
