//! The device: the best adapter that Burn finds.

use burn::tensor::Device;

/// Burn's device, and its name for the head of a table.
#[derive(Debug)]
pub struct Gpu {
    pub device: Device,
    pub name: String,
}

impl Gpu {
    /// The variable `CUBECL_WGPU_DEFAULT_DEVICE` chooses another adapter, `Cpu` for a software one.
    pub fn new() -> Result<Self, String> {
        let (device, setup) = Device::wgpu_options().init_with_setup().map_err(|error| error.to_string())?;
        let info = setup.adapter.get_info();
        let name = format!("{} ({}, {} {})", info.name, info.backend, info.driver, info.driver_info);
        Ok(Self { device, name: name.trim_end().to_owned() })
    }
}
