//! Runs a layer on the GPU: once for its results, then again and again for its times.

use std::error::Error;

use wgpu_batchnorm::{
    Backward, BackwardBuffers, BackwardOptions, Context, Dtype, Inference, InferenceBuffers,
    InferenceOptions, Plan, SavedStatistics, Shape, Strategy, Training, TrainingBuffers, TrainingOptions,
    read_back, wgpu,
};

use crate::copy::Copy;
use crate::data::Data;
use crate::operation::Operation;
use crate::stopwatch::Stopwatch;
use crate::storage;

/// The device, and what is made once for it.
pub struct Device<'a> {
    pub device: &'a wgpu::Device,
    pub queue: &'a wgpu::Queue,
    pub context: Context,
    pub copy: Copy,
    pub stopwatch: Stopwatch<'a>,
}

/// The results of a layer, in the bytes of its storage.
pub struct Results {
    pub trained: Vec<u8>,
    pub saved: Vec<SavedStatistics>,
    pub running: [Vec<f32>; 2],
    pub inferred: Vec<u8>,
    pub dx: Vec<u8>,
    pub dgamma: Vec<f32>,
    pub dbeta: Vec<f32>,
    /// By operation, in the order of [`Operation::ALL`].
    pub timings: [Timing; 3],
}

/// What an operation took.
#[derive(Clone, Copy)]
pub struct Timing {
    /// The plan's strategy.
    pub plan: &'static str,
    pub seconds: f64,
    /// Seconds of a plain copy of the tensor.
    pub copy: f64,
    /// Bytes of tensor moved.
    pub traffic: u64,
}

impl Device<'_> {
    fn input(&self, bytes: &[u8]) -> wgpu::Buffer {
        let mut contents = bytes.to_vec();
        contents.resize(bytes.len().next_multiple_of(Copy::GRANULE as usize), 0);
        // Not mapped at creation, which panics where memory is short.
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: contents.len() as u64,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.queue.write_buffer(&buffer, 0, &contents);
        buffer
    }

    fn output(&self, size: u64) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: size.next_multiple_of(Copy::GRANULE),
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        })
    }

    fn read<T: bytemuck::Pod>(&self, buffer: &wgpu::Buffer, count: usize) -> Result<Vec<T>, Box<dyn Error>> {
        let binding = buffer.as_entire_buffer_binding();
        let bytes: Vec<u8> = pollster::block_on(read_back(self.device, self.queue, binding))?;
        Ok(bytemuck::pod_collect_to_vec(&bytes[..count * size_of::<T>()]))
    }

    /// All operations on one layer.
    pub fn run(&self, shape: &Shape, data: &Data) -> Result<Results, Box<dyn Error>> {
        let training = Training::new(&self.context, shape, TrainingOptions::default())?;
        let inference = Inference::new(&self.context, shape, InferenceOptions::default())?;
        let backward = Backward::new(&self.context, shape, BackwardOptions::default())?;

        let tensor = |values: &[f64]| self.input(&storage::encode(shape.dtype(), values));
        let parameter = |values: &[f64]| self.input(&storage::encode(Dtype::F32, values));
        let (x, dy) = (tensor(&data.x), tensor(&data.dy));
        let (gamma, beta) = (parameter(&data.gamma), parameter(&data.beta));
        // Training updates its own, inference reads the old ones.
        let [mean, new_mean] = [(); 2].map(|()| parameter(&data.running.mean));
        let [variance, new_variance] = [(); 2].map(|()| parameter(&data.running.variance));
        let [trained, inferred, dx] = [(); 3].map(|()| self.output(shape.size_in_bytes()));
        let channels = shape.channels() as usize;
        let saved = self.output(channels as u64 * SavedStatistics::SIZE);
        let [dgamma, dbeta] = [(); 2].map(|()| self.output(channels as u64 * 4));
        let workspace = self.output(training.workspace_size().max(backward.workspace_size()));

        let whole = wgpu::Buffer::as_entire_buffer_binding;
        let training_buffers = TrainingBuffers {
            x: whole(&x),
            y: whole(&trained),
            gamma: Some(whole(&gamma)),
            beta: Some(whole(&beta)),
            running_mean: Some(whole(&new_mean)),
            running_var: Some(whole(&new_variance)),
            saved: whole(&saved),
            workspace: whole(&workspace),
            residual: None,
            new_running_mean: None,
            new_running_var: None,
            counters: None,
        };
        let inference_buffers = InferenceBuffers {
            x: whole(&x),
            y: whole(&inferred),
            gamma: Some(whole(&gamma)),
            beta: Some(whole(&beta)),
            running_mean: whole(&mean),
            running_var: whole(&variance),
            residual: None,
        };
        let backward_buffers = BackwardBuffers {
            x: whole(&x),
            dy: whole(&dy),
            saved: whole(&saved),
            gamma: Some(whole(&gamma)),
            dx: Some(whole(&dx)),
            dgamma: Some(whole(&dgamma)),
            dbeta: Some(whole(&dbeta)),
            workspace: whole(&workspace),
            residual: None,
            beta: None,
            dresidual: None,
        };

        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        training.encode(&mut encoder, &training_buffers)?;
        inference.encode(&mut encoder, &inference_buffers)?;
        backward.encode(&mut encoder, &backward_buffers)?;
        self.queue.submit([encoder.finish()]);
        // Read before the timed runs move the running statistics on.
        let running = [self.read(&new_mean, channels)?, self.read(&new_variance, channels)?];

        let spare = self.output(shape.size_in_bytes());
        let bind_group = self.copy.bind(self.device, &x, &spare);
        let copy = self.stopwatch.time(|pass| {
            self.copy.record(pass, &bind_group, spare.size());
            Ok(())
        })?;
        let timing = |seconds: f64, plan: &Plan| Timing {
            plan: plan.strategy().map_or("-", Strategy::name),
            seconds,
            copy,
            traffic: plan.tensor_traffic(),
        };
        let timings = Operation::ALL.map(|operation| {
            Ok::<_, Box<dyn Error>>(match operation {
                Operation::Training => {
                    let seconds = self.stopwatch.time(|pass| training.record(pass, &training_buffers))?;
                    timing(seconds, training.plan())
                }
                Operation::Inference => {
                    let seconds = self.stopwatch.time(|pass| inference.record(pass, &inference_buffers))?;
                    timing(seconds, inference.plan())
                }
                Operation::Backward => {
                    let seconds = self.stopwatch.time(|pass| backward.record(pass, &backward_buffers))?;
                    timing(seconds, backward.plan())
                }
            })
        });
        let [training_timing, inference_timing, backward_timing] = timings;

        let bytes = shape.len() as usize * shape.dtype().size() as usize;
        Ok(Results {
            trained: self.read(&trained, bytes)?,
            saved: self.read(&saved, channels)?,
            running,
            inferred: self.read(&inferred, bytes)?,
            dx: self.read(&dx, bytes)?,
            dgamma: self.read(&dgamma, channels)?,
            dbeta: self.read(&dbeta, channels)?,
            timings: [training_timing?, inference_timing?, backward_timing?],
        })
    }
}
