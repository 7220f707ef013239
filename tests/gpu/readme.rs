//! The README's embedding example, run.

use crate::Test;
use crate::support::data::Random;
use crate::support::gpu::Gpu;
use crate::support::run::submit;

pub const TESTS: &[Test] = &[("embedding_example", embedding_example)];

#[rustfmt::skip]
mod example {
// <example>
use wgpu_batchnorm::wgpu::{self, Buffer, util::DeviceExt};
use wgpu_batchnorm::{Context, Dtype, Error, SavedStatistics, Shape, Training, TrainingBuffers, TrainingOptions};

/// A batch norm of 64 channels over activations of [32, 64, 28, 28], in training, with the buffers that it owns.
pub struct BatchNorm {
    training: Training,
    gamma: Buffer, beta: Buffer, running_mean: Buffer, running_var: Buffer,
    y: Buffer, saved: Buffer, workspace: Buffer,
}

impl BatchNorm {
    /// Once for the layer; the context once for the device, by `Context::new(&device)`.
    pub fn new(context: &Context) -> Result<Self, Error> {
        let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?; // dimensions, channel axis
        let training = Training::new(context, &shape, TrainingOptions::default())?;
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
        let buffer = |contents: &[u8]| {
            let descriptor = wgpu::util::BufferInitDescriptor { label: None, contents, usage };
            context.device().create_buffer_init(&descriptor)
        };
        let filled = |value: f32| buffer(&value.to_ne_bytes().repeat(64));
        let empty = |size: u64| buffer(&vec![0; size as usize]);
        Ok(Self {
            gamma: filled(1.0), beta: filled(0.0), running_mean: filled(0.0), running_var: filled(1.0),
            y: empty(shape.size_in_bytes()), saved: empty(64 * SavedStatistics::SIZE),
            workspace: empty(training.workspace_size()), training,
        })
    }

    /// Each step: records into the application's encoder, which the application submits when it likes.
    pub fn forward(&self, encoder: &mut wgpu::CommandEncoder, x: &Buffer) -> Result<&Buffer, Error> {
        let whole = Buffer::as_entire_buffer_binding;
        self.training.encode(encoder, &TrainingBuffers {
            gamma: Some(whole(&self.gamma)), beta: Some(whole(&self.beta)),
            running_mean: Some(whole(&self.running_mean)), running_var: Some(whole(&self.running_var)),
            // What is saved is for the backward pass.
            ..TrainingBuffers::new(whole(x), whole(&self.y), whole(&self.saved), whole(&self.workspace))
        })?;
        Ok(&self.y)
    }
}
// </example>
}

/// It stands in the README as it runs here, and y has mean 0 and variance 1.
fn embedding_example(gpu: &Gpu) {
    let source = include_str!("readme.rs");
    let example = source.split("// <example>\n").nth(1).and_then(|rest| rest.split("// </example>").next());
    let readme = include_str!("../../README.md");
    assert!(
        readme.contains(&format!("```rust,no_run\n{}```", example.expect("markers"))),
        "the README differs"
    );

    use wgpu_batchnorm::wgpu::{self, util::DeviceExt};
    let values: Vec<f32> =
        Random::new(3).normals(32 * 64 * 784, 100.0, 3.0).iter().map(|&value| value as f32).collect();
    let x = gpu.device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
        label: None,
        contents: bytemuck::cast_slice(&values),
        usage: wgpu::BufferUsages::STORAGE,
    });
    let layer = example::BatchNorm::new(&gpu.context).expect("a layer");
    let mut y = None;
    submit(gpu, |encoder| y = Some(layer.forward(encoder, &x).expect("recorded")));
    let y = y.expect("y");
    let read = wgpu_batchnorm::read_back(&gpu.device, &gpu.queue, y.as_entire_buffer_binding());
    let y: Vec<f32> = pollster::block_on(read).expect("read back");
    let m = y.len() as f64;
    let mean = y.iter().map(|&y| f64::from(y)).sum::<f64>() / m;
    let variance = y.iter().map(|&y| f64::from(y).powi(2)).sum::<f64>() / m;
    assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-5, "mean {mean:e}, variance {variance}");
}
