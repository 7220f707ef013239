//! Runs a case on the device.

use std::error::Error;

use wgpu_batchnorm::reference::Statistics;
use wgpu_batchnorm::{
    Backward, BackwardBuffers, BackwardOptions, Context, Dtype, Inference, InferenceBuffers,
    InferenceOptions, Momentum, RunningStatistics, SavedStatistics, Training, TrainingBuffers,
    TrainingOptions, read_back, wgpu,
};

use crate::bounds::Quantity;
use crate::case::Case;
use crate::metadata::Mode;
use crate::storage;

/// A NaN in f32, and two of them in f16: what is never written is not taken for a result.
const POISON: [u8; 4] = 0x7fc1_7e17u32.to_le_bytes();

/// The results of a case.
pub type Results = Vec<(Quantity, Vec<f64>)>;

pub struct Device {
    pub device: wgpu::Device,
    queue: wgpu::Queue,
    context: Context,
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
    fn buffer(&self, bytes: &[u8]) -> Result<wgpu::Buffer, Box<dyn Error>> {
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

    fn empty(&self, bytes: u64) -> Result<wgpu::Buffer, Box<dyn Error>> {
        self.buffer(&POISON.repeat(usize::try_from(bytes.div_ceil(4))?))
    }

    fn parameter(&self, values: &[f64]) -> Result<wgpu::Buffer, Box<dyn Error>> {
        self.buffer(&storage::encode(Dtype::F32, values))
    }

    fn parameters(&self, values: &Option<Vec<f64>>) -> Result<Option<wgpu::Buffer>, Box<dyn Error>> {
        values.as_ref().map(|values| self.parameter(values)).transpose()
    }

    fn submit(
        &self,
        record: impl FnOnce(&mut wgpu::CommandEncoder) -> Result<(), wgpu_batchnorm::Error>,
    ) -> Result<(), Box<dyn Error>> {
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        record(&mut encoder)?;
        self.queue.submit([encoder.finish()]);
        Ok(())
    }

    /// The first `len` values.
    fn read(&self, buffer: &wgpu::Buffer, dtype: Dtype, len: u64) -> Result<Vec<f64>, Box<dyn Error>> {
        let binding = buffer.as_entire_buffer_binding();
        let bytes: Vec<u8> = pollster::block_on(read_back(&self.device, &self.queue, binding))?;
        let mut values = storage::decode(dtype, &bytes);
        values.truncate(len as usize);
        Ok(values)
    }
}

fn binding(buffer: &Option<wgpu::Buffer>) -> Option<wgpu::BufferBinding<'_>> {
    buffer.as_ref().map(wgpu::Buffer::as_entire_buffer_binding)
}

pub fn run(device: &Device, case: &Case) -> Result<Results, Box<dyn Error>> {
    match case.given_statistics() {
        Some(statistics) => infer(device, case, statistics),
        None => train(device, case),
    }
}

fn infer(device: &Device, case: &Case, statistics: &Statistics) -> Result<Results, Box<dyn Error>> {
    let options = InferenceOptions { eps: case.eps as f32, affine: case.affine(), ..Default::default() };
    let inference = Inference::new(&device.context, &case.shape, options)?;
    let (x, y) = (device.buffer(&case.x)?, device.empty(case.shape.size_in_bytes())?);
    let (gamma, beta) = (device.parameters(&case.weight)?, device.parameters(&case.bias)?);
    let (mean, variance) = (device.parameter(&statistics.mean)?, device.parameter(&statistics.variance)?);
    device.submit(|encoder| {
        let buffers = InferenceBuffers {
            x: x.as_entire_buffer_binding(),
            y: y.as_entire_buffer_binding(),
            gamma: binding(&gamma),
            beta: binding(&beta),
            running_mean: mean.as_entire_buffer_binding(),
            running_var: variance.as_entire_buffer_binding(),
            residual: None,
        };
        inference.encode(encoder, &buffers)
    })?;
    Ok(vec![(Quantity::Output, device.read(&y, case.shape.dtype(), case.shape.len())?)])
}

/// The training forward pass, and the backward pass where there is a gradient.
fn train(device: &Device, case: &Case) -> Result<Results, Box<dyn Error>> {
    let (shape, channels) = (&case.shape, case.shape.channels());
    let running = case.updated_statistics();
    let kept = RunningStatistics {
        momentum: Momentum::OfNew(case.momentum as f32),
        variance: case.variance,
        ..Default::default()
    };
    let options = TrainingOptions {
        eps: case.eps as f32,
        affine: case.affine(),
        running: running.map(|_| kept),
        ..Default::default()
    };
    let training = Training::new(&device.context, shape, options)?;
    let (x, y) = (device.buffer(&case.x)?, device.empty(shape.size_in_bytes())?);
    let (gamma, beta) = (device.parameters(&case.weight)?, device.parameters(&case.bias)?);
    let mean = running.map(|running| device.parameter(&running.mean)).transpose()?;
    let variance = running.map(|running| device.parameter(&running.variance)).transpose()?;
    let saved = device.empty(u64::from(channels) * SavedStatistics::SIZE)?;
    let workspace = device.empty(training.workspace_size())?;
    device.submit(|encoder| {
        let buffers = TrainingBuffers {
            x: x.as_entire_buffer_binding(),
            y: y.as_entire_buffer_binding(),
            gamma: binding(&gamma),
            beta: binding(&beta),
            running_mean: binding(&mean),
            running_var: binding(&variance),
            saved: saved.as_entire_buffer_binding(),
            workspace: workspace.as_entire_buffer_binding(),
            residual: None,
            new_running_mean: None,
            new_running_var: None,
            counters: None,
        };
        training.encode(encoder, &buffers)
    })?;
    let mut results = vec![(Quantity::Output, device.read(&y, shape.dtype(), shape.len())?)];
    if case.mode == Mode::Train {
        let statistics = read_back(&device.device, &device.queue, saved.as_entire_buffer_binding());
        let statistics: Vec<SavedStatistics> = pollster::block_on(statistics)?;
        results.push((Quantity::BatchMean, statistics.iter().map(SavedStatistics::mean).collect()));
        results.push((Quantity::BatchVar, statistics.iter().map(|s| s.variance.into()).collect()));
    }
    for (quantity, buffer) in [(Quantity::RunningMean, &mean), (Quantity::RunningVar, &variance)] {
        if let Some(buffer) = buffer {
            results.push((quantity, device.read(buffer, Dtype::F32, channels.into())?));
        }
    }
    if let Some(gradient) = &case.grad_output {
        results.extend(differentiate(device, case, gradient, [&x, &saved], &gamma)?);
    }
    Ok(results)
}

fn differentiate(
    device: &Device,
    case: &Case,
    gradient: &[u8],
    [x, saved]: [&wgpu::Buffer; 2],
    gamma: &Option<wgpu::Buffer>,
) -> Result<Results, Box<dyn Error>> {
    let (shape, channels) = (&case.shape, case.shape.channels());
    let gradients = case.gradients();
    let options = BackwardOptions { affine: case.affine(), gradients, ..Default::default() };
    let backward = Backward::new(&device.context, shape, options)?;
    let (dy, dx) = (device.buffer(gradient)?, device.empty(shape.size_in_bytes())?);
    let parameter = |wanted: bool| wanted.then(|| device.empty(u64::from(channels) * 4)).transpose();
    let (dgamma, dbeta) = (parameter(gradients.dgamma)?, parameter(gradients.dbeta)?);
    let workspace = device.empty(backward.workspace_size())?;
    device.submit(|encoder| {
        let buffers = BackwardBuffers {
            x: x.as_entire_buffer_binding(),
            dy: dy.as_entire_buffer_binding(),
            saved: saved.as_entire_buffer_binding(),
            gamma: binding(gamma),
            dx: Some(dx.as_entire_buffer_binding()),
            dgamma: binding(&dgamma),
            dbeta: binding(&dbeta),
            workspace: workspace.as_entire_buffer_binding(),
            residual: None,
            beta: None,
            dresidual: None,
        };
        backward.encode(encoder, &buffers)
    })?;
    let mut results = vec![(Quantity::GradInput, device.read(&dx, shape.dtype(), shape.len())?)];
    for (quantity, buffer) in [(Quantity::GradWeight, &dgamma), (Quantity::GradBias, &dbeta)] {
        if let Some(buffer) = buffer {
            results.push((quantity, device.read(buffer, Dtype::F32, channels.into())?));
        }
    }
    Ok(results)
}
