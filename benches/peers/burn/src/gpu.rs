//! One wgpu device for both systems.

use std::error::Error;

use burn::tensor::Device;
use burn::tensor::wgpu::WgpuSetup;

/// The device that this program made, and Burn's name for it.
pub struct Gpu {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub info: wgpu::AdapterInfo,
    pub burn: Device,
}

impl Gpu {
    /// The first adapter that matches: a discrete GPU before an integrated one, software last.
    pub fn new(backend: Option<wgpu::Backend>, name: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let backends = backend.map_or(wgpu::Backends::PRIMARY, wgpu::Backends::from);
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let name = name.map(str::to_lowercase);
        let mut adapters = pollster::block_on(instance.enumerate_adapters(backends));
        adapters.retain(|adapter| {
            let found = adapter.get_info().name.to_lowercase();
            name.as_ref().is_none_or(|name| found.contains(name.as_str()))
        });
        adapters.sort_by_key(|adapter| match adapter.get_info().device_type {
            wgpu::DeviceType::DiscreteGpu => 0,
            wgpu::DeviceType::IntegratedGpu => 1,
            wgpu::DeviceType::VirtualGpu => 2,
            wgpu::DeviceType::Other => 3,
            wgpu::DeviceType::Cpu => 4,
        });
        let adapter = adapters.into_iter().next().ok_or("no such adapter")?;
        let info = adapter.get_info();
        // Burn's runtime asks the adapter what there is, not the device: all of it has to be switched on. Without
        // the experimental features, which need an `unsafe` promise, and without mappable storage, which slows it.
        let without = wgpu::Features::MAPPABLE_PRIMARY_BUFFERS | wgpu::Features::all_experimental_mask();
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            required_features: adapter.features() - without,
            required_limits: adapter.limits(),
            ..wgpu::DeviceDescriptor::default()
        }))?;
        let setup = WgpuSetup {
            instance,
            adapter,
            device: device.clone(),
            queue: queue.clone(),
            backend: info.backend,
        };
        let burn = Device::wgpu_options().setup(setup).init()?;
        Ok(Self { device, queue, info, burn })
    }

    /// Until all that was submitted is done, by whichever system.
    pub fn wait(&self) -> Result<(), Box<dyn Error>> {
        self.device.poll(wgpu::PollType::wait_indefinitely())?;
        Ok(())
    }

    pub fn backend(&self) -> &'static str {
        self.info.backend.to_str()
    }

    pub fn driver(&self) -> String {
        let driver = [self.info.driver.as_str(), self.info.driver_info.as_str()].join(" ");
        driver.trim().to_owned()
    }
}
