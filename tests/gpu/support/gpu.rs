//! The devices to test on.

use std::sync::Arc;

use wgpu_batchnorm::{Context, wgpu};

/// A device, with a context on it.
pub struct Gpu {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub context: Context,
    adapter: wgpu::Adapter,
    backend: &'static str,
    profile: &'static str,
}

impl Gpu {
    /// The backend in lower case, as in `vulkan`.
    pub fn backend(&self) -> &'static str {
        self.backend
    }

    /// Backend and profile, as in `vulkan/default`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.backend, self.profile)
    }

    /// Another device of the same adapter, with other limits.
    pub fn limited(&self, limit: impl Fn(&mut wgpu::Limits)) -> Self {
        let mut required_limits = self.device.limits();
        limit(&mut required_limits);
        let descriptor = wgpu::DeviceDescriptor { required_limits, ..Default::default() };
        let (device, queue) =
            pollster::block_on(self.adapter.request_device(&descriptor)).expect("a device with lower limits");
        let (context, adapter) = (Context::new(&device), self.adapter.clone());
        Self { device, queue, context, adapter, backend: self.backend, profile: self.profile }
    }

    /// The same device with nothing compiled: where each case has kernels of its own, they are not kept.
    pub fn anew(&self) -> Self {
        let (device, queue, adapter) = (self.device.clone(), self.queue.clone(), self.adapter.clone());
        Self { context: Context::new(&device), device, queue, adapter, ..*self }
    }

    /// A second context on the same device: nothing is compiled in it yet.
    pub fn fresh_context(&self) -> Context {
        Context::new(&self.device)
    }
}

/// The backends that have to be there.
pub fn required() -> Vec<String> {
    let required = std::env::var("WGPU_BATCHNORM_REQUIRE").unwrap_or_default();
    required.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// One adapter of each backend, in two profiles each.
pub fn devices() -> Vec<Arc<Gpu>> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let mut devices = Vec::new();
    for (backend, backends) in [
        ("vulkan", wgpu::Backends::VULKAN),
        ("metal", wgpu::Backends::METAL),
        ("dx12", wgpu::Backends::DX12),
        ("gl", wgpu::Backends::GL),
    ] {
        let mut adapters = pollster::block_on(instance.enumerate_adapters(backends));
        adapters.retain(|adapter| {
            adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)
        });
        // A real GPU before a software one.
        adapters.sort_by_key(|adapter| adapter.get_info().device_type == wgpu::DeviceType::Cpu);
        let Some(adapter) = adapters.first() else { continue };
        eprintln!("{backend}: {:?}", adapter.get_info().name);
        let full = adapter.features()
            - wgpu::Features::MAPPABLE_PRIMARY_BUFFERS
            - wgpu::Features::all_experimental_mask();
        for (profile, required_features, required_limits) in
            [("default", wgpu::Features::empty(), wgpu::Limits::default()), ("full", full, adapter.limits())]
        {
            let descriptor =
                wgpu::DeviceDescriptor { required_features, required_limits, ..Default::default() };
            let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
                .unwrap_or_else(|error| panic!("{backend}/{profile}: {error}"));
            let context = Context::new(&device);
            let adapter = adapter.clone();
            devices.push(Arc::new(Gpu { device, queue, context, adapter, backend, profile }));
        }
    }
    devices
}
