//! The buffers of one shape: several sets of tensors to rotate over, and what there is per channel.

use wgpu_batchnorm::{Dtype, SavedStatistics, wgpu};

use crate::gpu::Gpu;

/// Sets at least, so that none is near the one before it in time, however large they are.
const FEWEST_SETS: u64 = 4;

/// Workgroups of a fill, and of how many invocations.
const FILL_GRID: u32 = 4096;

/// Tensors of one operation.
pub struct Set {
    pub x: wgpu::Buffer,
    pub dy: wgpu::Buffer,
    /// y, dx, or the copy.
    pub out: wgpu::Buffer,
}

pub struct Tensors {
    /// Bytes of one tensor.
    pub bytes: u64,
    pub sets: Vec<Set>,
    pub gamma: wgpu::Buffer,
    pub beta: wgpu::Buffer,
    pub running_mean: wgpu::Buffer,
    pub running_var: wgpu::Buffer,
    pub saved: wgpu::Buffer,
    pub dgamma: wgpu::Buffer,
    pub dbeta: wgpu::Buffer,
    pub workspace: wgpu::Buffer,
}

/// Sets of tensors of these bytes that rotate over at least `cache` bytes with the two that every operation touches.
pub fn sets_for(bytes: u64, cache: u64) -> usize {
    cache.div_ceil(2 * bytes.max(1)).max(FEWEST_SETS) as usize
}

impl Tensors {
    /// Standard normal inputs and the statistics that belong to them.
    pub fn new(gpu: &Gpu, bytes: u64, dtype: Dtype, channels: usize, sets: usize, workspace: u64) -> Self {
        let sets = (0..sets).map(|_| {
            let [x, dy, out] = [(); 3].map(|()| gpu.buffer(bytes));
            Set { x, dy, out }
        });
        let channel = |size: u64| gpu.buffer(channels as u64 * size);
        let tensors = Self {
            bytes,
            sets: sets.collect(),
            gamma: channel(4),
            beta: channel(4),
            running_mean: channel(4),
            running_var: channel(4),
            saved: channel(SavedStatistics::SIZE),
            dgamma: channel(4),
            dbeta: channel(4),
            workspace: gpu.buffer(workspace.max(4)),
        };
        let saved = SavedStatistics { pivot: 0.0, difference: 0.0, variance: 1.0, invstd: 1.0 };
        let write = |buffer: &wgpu::Buffer, bytes: &[u8]| gpu.queue.write_buffer(buffer, 0, bytes);
        write(&tensors.saved, bytemuck::cast_slice(&vec![saved; channels]));
        write(&tensors.running_var, bytemuck::cast_slice(&vec![1f32; channels]));
        write(&tensors.gamma, bytemuck::cast_slice(&vec![1.25f32; channels]));
        write(&tensors.beta, bytemuck::cast_slice(&vec![0.5f32; channels]));
        tensors.fill(gpu, dtype);
        tensors
    }

    /// Fills the inputs of the first set; the others hold the same values elsewhere. Outputs become zeros.
    fn fill(&self, gpu: &Gpu, dtype: Dtype) {
        let Some((first, others)) = self.sets.split_first() else { return };
        let source = wgpu::ShaderSource::Wgsl(include_str!("fill.wgsl").into());
        let module =
            gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some("fill"), source });
        let pipeline = gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("fill"),
            layout: None,
            module: &module,
            entry_point: Some("fill"),
            compilation_options: Default::default(),
            cache: None,
        });
        let mut encoder = gpu.encoder();
        for (seed, buffer) in [&first.x, &first.dy].into_iter().enumerate() {
            let params = gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("fill"),
                size: 8,
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            // The values of a fixed seed: runs are of the same data.
            let contents = [seed as u32 + 1, u32::from(dtype == Dtype::F16)];
            gpu.queue.write_buffer(&params, 0, bytemuck::cast_slice(&contents));
            for binding in pieces(gpu, buffer) {
                let bind_group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
                    label: Some("fill"),
                    layout: &pipeline.get_bind_group_layout(0),
                    entries: &[
                        wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(binding) },
                        wgpu::BindGroupEntry { binding: 1, resource: params.as_entire_binding() },
                    ],
                });
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                pass.set_pipeline(&pipeline);
                pass.set_bind_group(0, &bind_group, &[]);
                pass.dispatch_workgroups(FILL_GRID, 1, 1);
            }
        }
        // All memory is touched before anything is timed.
        for set in &self.sets {
            encoder.clear_buffer(&set.out, 0, None);
        }
        for set in others {
            encoder.copy_buffer_to_buffer(&first.x, 0, &set.x, 0, None);
            encoder.copy_buffer_to_buffer(&first.dy, 0, &set.dy, 0, None);
        }
        gpu.submit(encoder);
    }
}

/// A buffer in bindings that the device allows.
pub fn pieces<'a>(gpu: &Gpu, buffer: &'a wgpu::Buffer) -> Vec<wgpu::BufferBinding<'a>> {
    let most = gpu.device.limits().max_storage_buffer_binding_size / 256 * 256;
    let starts = (0..buffer.size()).step_by(usize::try_from(most.max(256)).unwrap_or(usize::MAX));
    let piece = |offset| {
        let size = wgpu::BufferSize::new(most.min(buffer.size() - offset));
        wgpu::BufferBinding { buffer, offset, size }
    };
    starts.map(piece).collect()
}
