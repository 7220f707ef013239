//! The device that is measured, and its name in the rows.

use std::error::Error;

use wgpu_batchnorm::{Context, wgpu};

use crate::options::{Options, Timer};
use crate::row::Row;

/// A device with all that its adapter has, or with WebGPU's default limits.
pub struct Gpu {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub context: Context,
    pub name: String,
    pub backend: String,
    pub driver: String,
    /// Software that runs on the CPU.
    pub software: bool,
    pub timer: Timer,
}

/// Both are needed, so that what is no compute pass can be timed too.
const TIMESTAMPS: wgpu::Features =
    wgpu::Features::TIMESTAMP_QUERY.union(wgpu::Features::TIMESTAMP_QUERY_INSIDE_ENCODERS);

impl Gpu {
    pub fn open(adapter: &wgpu::Adapter, options: &Options) -> Result<Self, Box<dyn Error>> {
        let timestamps = adapter.features() & TIMESTAMPS;
        let timer = match options.timer {
            None if timestamps == TIMESTAMPS => Timer::Timestamps,
            Some(Timer::Timestamps) if timestamps != TIMESTAMPS => {
                return Err("--timer: is timestamps, but the adapter has no timestamp queries".into());
            }
            chosen => chosen.unwrap_or(Timer::Wall),
        };
        let (required_features, required_limits) = if options.default_limits {
            (timestamps, wgpu::Limits::default())
        } else {
            // Experimental features take an `unsafe` promise; mappable primary buffers slow discrete GPUs down.
            let usable = adapter.features()
                - wgpu::Features::all_experimental_mask()
                - wgpu::Features::MAPPABLE_PRIMARY_BUFFERS;
            (usable, adapter.limits())
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            required_features,
            required_limits,
            ..Default::default()
        }))?;
        let info = adapter.get_info();
        Ok(Self {
            context: Context::new(&device),
            device,
            queue,
            name: info.name,
            backend: format!("{:?}", info.backend).to_lowercase(),
            driver: [info.driver, info.driver_info].join(" ").trim().to_owned(),
            software: info.device_type == wgpu::DeviceType::Cpu,
            timer,
        })
    }

    /// A row with the names of the device.
    pub fn row(&self) -> Row {
        Row {
            system: "wgpu-batchnorm".into(),
            device: self.name.clone(),
            backend: self.backend.clone(),
            driver: self.driver.clone(),
            timer: self.timer.to_string(),
            ..Row::default()
        }
    }

    pub fn wait(&self) -> Result<(), wgpu::PollError> {
        self.device.poll(wgpu::PollType::wait_indefinitely()).map(|_| ())
    }

    pub fn encoder(&self) -> wgpu::CommandEncoder {
        self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    pub fn submit(&self, encoder: wgpu::CommandEncoder) {
        self.queue.submit([encoder.finish()]);
    }

    /// A buffer of zeros.
    pub fn buffer(&self, bytes: u64) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: bytes.next_multiple_of(16),
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    }
}
