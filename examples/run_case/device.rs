//! The device, and the buffers that a case needs.

use std::error::Error;

use wgpu_batchnorm::{Context, Dtype, read_back, wgpu};

use crate::storage;

/// A NaN in f32, and two of them in f16: what is never written is not taken for a result.
const POISON: [u8; 4] = 0x7fc1_7e17u32.to_le_bytes();

pub struct Device {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub context: Context,
}

impl Device {
    pub fn new(adapter: &wgpu::Adapter) -> Result<Self, wgpu::RequestDeviceError> {
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            required_limits: adapter.limits(),
            ..Default::default()
        }))?;
        let context = Context::new(&device);
        Ok(Self { device, queue, context })
    }

    /// A buffer with this content, never empty.
    pub fn buffer(&self, bytes: &[u8]) -> Result<wgpu::Buffer, Box<dyn Error>> {
        let mut contents = bytes.to_vec();
        contents.resize(bytes.len().next_multiple_of(4).max(4), 0);
        let (needs, limit) = (contents.len() as u64, self.device.limits().max_buffer_size);
        if needs > limit {
            return Err(format!("needs a buffer of {needs} bytes, the device allows {limit}").into());
        }
        // Not mapped at creation, which panics where memory is short.
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: needs,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.queue.write_buffer(&buffer, 0, &contents);
        Ok(buffer)
    }

    pub fn empty(&self, bytes: u64) -> Result<wgpu::Buffer, Box<dyn Error>> {
        self.buffer(&POISON.repeat(usize::try_from(bytes.div_ceil(4))?))
    }

    pub fn parameter(&self, values: &[f64]) -> Result<wgpu::Buffer, Box<dyn Error>> {
        self.buffer(&storage::encode(Dtype::F32, values))
    }

    pub fn parameters(&self, values: &Option<Vec<f64>>) -> Result<Option<wgpu::Buffer>, Box<dyn Error>> {
        values.as_ref().map(|values| self.parameter(values)).transpose()
    }

    /// Bytes that may be absent.
    pub fn buffers(&self, bytes: &Option<Vec<u8>>) -> Result<Option<wgpu::Buffer>, Box<dyn Error>> {
        bytes.as_ref().map(|bytes| self.buffer(bytes)).transpose()
    }

    pub fn submit(
        &self,
        record: impl FnOnce(&mut wgpu::CommandEncoder) -> Result<(), wgpu_batchnorm::Error>,
    ) -> Result<(), Box<dyn Error>> {
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        record(&mut encoder)?;
        self.queue.submit([encoder.finish()]);
        Ok(())
    }

    /// The first `len` values.
    pub fn read(&self, buffer: &wgpu::Buffer, dtype: Dtype, len: u64) -> Result<Vec<f64>, Box<dyn Error>> {
        let binding = buffer.as_entire_buffer_binding();
        let bytes: Vec<u8> = pollster::block_on(read_back(&self.device, &self.queue, binding))?;
        let mut values = storage::decode(dtype, &bytes);
        values.truncate(len as usize);
        Ok(values)
    }

    /// All records of a buffer.
    pub fn records<T: bytemuck::Pod>(&self, buffer: &wgpu::Buffer) -> Result<Vec<T>, Box<dyn Error>> {
        let binding = buffer.as_entire_buffer_binding();
        Ok(pollster::block_on(read_back(&self.device, &self.queue, binding))?)
    }
}

pub fn binding(buffer: &Option<wgpu::Buffer>) -> Option<wgpu::BufferBinding<'_>> {
    buffer.as_ref().map(wgpu::Buffer::as_entire_buffer_binding)
}
