//! The README's embedding example, run.

use crate::Test;
use crate::support::data::Random;
use crate::support::gpu::Gpu;
use crate::support::run::submit;

pub const TESTS: &[Test] = &[("embedding_example", embedding_example)];

#[rustfmt::skip]
mod example {
// <example>
use wgpu_batchnorm::wgpu::{self, util::DeviceExt};
use wgpu_batchnorm::{Context, Dtype, Error, SavedStatistics, Shape, Training, TrainingBuffers, TrainingOptions};

/// Normalizes a [32, 64, 28, 28] activation by its own statistics, in an encoder of the application's.
pub fn forward(device: &wgpu::Device, encoder: &mut wgpu::CommandEncoder, x: &wgpu::Buffer) -> Result<wgpu::Buffer, Error> {
    let context = Context::new(device); // once for the device
    let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?; // dimensions, channel axis
    let layer = Training::new(&context, &shape, TrainingOptions::default())?; // once for the layer

    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
    let empty = |size| {
        device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
    };
    let filled = |value: f32| {
        let contents = &value.to_ne_bytes().repeat(64);
        device.create_buffer_init(&wgpu::util::BufferInitDescriptor { label: None, contents, usage })
    };
    let (gamma, beta) = (filled(1.0), filled(0.0));
    let (running_mean, running_var) = (filled(0.0), filled(1.0));
    let (y, saved) = (empty(shape.size_in_bytes()), empty(64 * SavedStatistics::SIZE));
    let workspace = empty(layer.workspace_size());

    layer.encode(encoder, &TrainingBuffers {
        x: x.as_entire_buffer_binding(),
        y: y.as_entire_buffer_binding(),
        gamma: Some(gamma.as_entire_buffer_binding()),
        beta: Some(beta.as_entire_buffer_binding()),
        running_mean: Some(running_mean.as_entire_buffer_binding()),
        running_var: Some(running_var.as_entire_buffer_binding()),
        saved: saved.as_entire_buffer_binding(), // for the backward pass
        workspace: workspace.as_entire_buffer_binding(),
    })?;
    Ok(y) // the application submits, when it likes
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
    let mut y = None;
    submit(gpu, |encoder| y = Some(example::forward(&gpu.device, encoder, &x).expect("recorded")));
    let y = y.expect("y");
    let read = wgpu_batchnorm::read_back(&gpu.device, &gpu.queue, y.as_entire_buffer_binding());
    let y: Vec<f32> = pollster::block_on(read).expect("read back");
    let m = y.len() as f64;
    let mean = y.iter().map(|&y| f64::from(y)).sum::<f64>() / m;
    let variance = y.iter().map(|&y| f64::from(y).powi(2)).sum::<f64>() / m;
    assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-5, "mean {mean:e}, variance {variance}");
}
