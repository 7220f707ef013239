//! A training step of a small convolutional network, with our batch norm, with Burn's and with none, in turns.
//!
//! `cargo bench -p wgpu-batchnorm-burn --bench step -- --help`

mod launches;
mod measure;
mod network;
mod options;
mod report;

use std::process::ExitCode;

use burn::tensor::{Device, DeviceKind};

use crate::measure::measure;
use crate::options::Options;

fn main() -> ExitCode {
    let options = match Options::parse() {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let device = Device::wgpu(DeviceKind::DefaultDevice).autodiff();
    match measure(&device, &options) {
        Ok(measured) => {
            print!("{}", report::markdown(&device, &options, &measured));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
