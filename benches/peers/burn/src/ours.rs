//! wgpu-batchnorm on the shared device: one encoder and one submit per operation.

use std::error::Error;

use wgpu_batchnorm::{
    Momentum,
    Backward, BackwardBuffers, BackwardOptions, Context, Inference, InferenceBuffers, InferenceOptions,
    RunningStatistics, RunningVariance, SavedStatistics, Training, TrainingBuffers, TrainingOptions,
    read_back,
};

use crate::gpu::Gpu;
use crate::problem::{EPS, MOMENTUM, Operation, Problem};
use crate::system::System;

/// The layer, its parameters, and the sets of tensors it runs on.
pub struct Ours<'a> {
    gpu: &'a Gpu,
    training: Training,
    inference: Inference,
    backward: Backward,
    sets: Vec<Set>,
    gamma: wgpu::Buffer,
    beta: wgpu::Buffer,
    /// What inference reads.
    running: [wgpu::Buffer; 2],
    /// What training updates.
    updated: [wgpu::Buffer; 2],
    saved: wgpu::Buffer,
    dgamma: wgpu::Buffer,
    dbeta: wgpu::Buffer,
    workspace: wgpu::Buffer,
}

struct Set {
    x: wgpu::Buffer,
    dy: wgpu::Buffer,
    /// y or dx.
    output: wgpu::Buffer,
}

impl<'a> Ours<'a> {
    pub const NAME: &'static str = "wgpu-batchnorm";

    pub fn new(
        gpu: &'a Gpu,
        context: &Context,
        problem: &Problem,
        sets: usize,
    ) -> Result<Self, Box<dyn Error>> {
        let shape = &problem.shape;
        let running = RunningStatistics { momentum: Momentum::OfNew(MOMENTUM), variance: RunningVariance::Biased, ..Default::default() };
        let training = TrainingOptions { eps: EPS, running: Some(running), ..TrainingOptions::default() };
        let training = Training::new(context, shape, training)?;
        let inference =
            Inference::new(context, shape, InferenceOptions { eps: EPS, ..InferenceOptions::default() })?;
        let backward = Backward::new(context, shape, BackwardOptions::default())?;

        let buffer = |size| {
            let usage =
                wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
            gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size,
                usage,
                mapped_at_creation: false,
            })
        };
        let given = |values: &[f32]| {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
            let buffer = buffer(bytes.len() as u64);
            gpu.queue.write_buffer(&buffer, 0, &bytes);
            buffer
        };
        let tensor = shape.size_in_bytes();
        let sets: Vec<Set> = (0..sets)
            .map(|_| Set { x: given(&problem.x), dy: given(&problem.dy), output: buffer(tensor) })
            .collect();
        let channels = u64::from(shape.channels());
        let workspace = training.workspace_size().max(backward.workspace_size());
        let mut ours = Self {
            gpu,
            training,
            inference,
            backward,
            sets,
            gamma: given(&problem.gamma),
            beta: given(&problem.beta),
            running: [given(&problem.running_mean), given(&problem.running_var)],
            updated: [given(&problem.running_mean), given(&problem.running_var)],
            saved: buffer(channels * SavedStatistics::SIZE),
            dgamma: buffer(channels * 4),
            dbeta: buffer(channels * 4),
            workspace: buffer(workspace),
        };
        // The statistics that the backward pass starts from.
        ours.submit(Operation::Training, 0)?;
        for (buffer, values) in ours.updated.iter().zip([&problem.running_mean, &problem.running_var]) {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
            gpu.queue.write_buffer(buffer, 0, &bytes);
        }
        gpu.queue.submit([]);
        gpu.wait()?;
        Ok(ours)
    }

    /// Dispatches per operation, as planned.
    pub fn launches(&self, operation: Operation) -> usize {
        let plan = match operation {
            Operation::Training => self.training.plan(),
            Operation::Inference => self.inference.plan(),
            Operation::Backward => self.backward.plan(),
        };
        plan.launches().len()
    }

    /// The plan in one line.
    pub fn plan(&self, operation: Operation) -> String {
        match operation {
            Operation::Training => self.training.plan().to_string(),
            Operation::Inference => self.inference.plan().to_string(),
            Operation::Backward => self.backward.plan().to_string(),
        }
    }

    fn read(&self, buffer: &wgpu::Buffer) -> Result<Vec<f32>, Box<dyn Error>> {
        let binding = buffer.as_entire_buffer_binding();
        Ok(pollster::block_on(read_back(&self.gpu.device, &self.gpu.queue, binding))?)
    }
}

impl System for Ours<'_> {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn submit(&mut self, operation: Operation, set: usize) -> Result<(), Box<dyn Error>> {
        let whole = wgpu::Buffer::as_entire_buffer_binding;
        let Set { x, dy, output } = &self.sets[set];
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        match operation {
            Operation::Training => self.training.encode(
                &mut encoder,
                &TrainingBuffers {
                    x: whole(x),
                    y: whole(output),
                    gamma: Some(whole(&self.gamma)),
                    beta: Some(whole(&self.beta)),
                    running_mean: Some(whole(&self.updated[0])),
                    running_var: Some(whole(&self.updated[1])),
                    saved: whole(&self.saved),
                    workspace: whole(&self.workspace),
residual: None, new_running_mean: None, new_running_var: None, counters: None,
},
            )?,
            Operation::Inference => self.inference.encode(
                &mut encoder,
                &InferenceBuffers {
                    x: whole(x),
                    y: whole(output),
                    gamma: Some(whole(&self.gamma)),
                    beta: Some(whole(&self.beta)),
                    running_mean: whole(&self.running[0]),
                    running_var: whole(&self.running[1]),
residual: None,
},
            )?,
            Operation::Backward => self.backward.encode(
                &mut encoder,
                &BackwardBuffers {
                    x: whole(x),
                    dy: whole(dy),
                    saved: whole(&self.saved),
                    gamma: Some(whole(&self.gamma)),
                    dx: Some(whole(output)),
                    dgamma: Some(whole(&self.dgamma)),
                    dbeta: Some(whole(&self.dbeta)),
                    workspace: whole(&self.workspace),
residual: None, beta: None, dresidual: None,
},
            )?,
        }
        self.gpu.queue.submit([encoder.finish()]);
        Ok(())
    }

    fn results(&mut self, operation: Operation, set: usize) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
        let output = self.read(&self.sets[set].output)?;
        Ok(match operation {
            Operation::Training => {
                vec![output, self.read(&self.updated[0])?, self.read(&self.updated[1])?]
            }
            Operation::Inference => vec![output],
            Operation::Backward => vec![output, self.read(&self.dgamma)?, self.read(&self.dbeta)?],
        })
    }
}
