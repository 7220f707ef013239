//! The host's own compute passes: what a neural network has besides batch normalization.

use wgpu_batchnorm::wgpu::{self, util::DeviceExt};

use crate::Piece;

/// The step size of `descend`.
pub const RATE: f32 = 0.001;

/// The host's tensors lie in one buffer, so one binding serves, addressed by word.
const SHADER: &str = "
struct Pieces { x: u32, y: u32, activation: u32, dy: u32, gamma: u32, dgamma: u32, beta: u32, dbeta: u32 }
@group(0) @binding(0) var<storage, read_write> memory: array<f32>;
@group(0) @binding(1) var<uniform> at: Pieces;

override rate: f32;

@compute @workgroup_size(64)
fn generate(@builtin(global_invocation_id) id: vec3<u32>) {
    // Somewhere between 100 and 101, by the pcg hash (Jarzynski & Olano 2020).
    let state = id.x * 747796405u + 2891336453u;
    let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    memory[at.x + id.x] = 100.0 + f32((word >> 22u) ^ word) / 4294967296.0;
}

@compute @workgroup_size(64)
fn activate(@builtin(global_invocation_id) id: vec3<u32>) {
    let y = memory[at.y + id.x];
    memory[at.activation + id.x] = max(y, 0.0);
    // The loss is the sum of (activation - 1)^2 / 2.
    memory[at.dy + id.x] = select(0.0, y - 1.0, y > 0.0);
}

@compute @workgroup_size(64)
fn descend(@builtin(global_invocation_id) id: vec3<u32>) {
    memory[at.gamma + id.x] -= rate * memory[at.dgamma + id.x];
    memory[at.beta + id.x] -= rate * memory[at.dbeta + id.x];
}
";

pub struct Host {
    bind_group: wgpu::BindGroup,
    generate: wgpu::ComputePipeline,
    activate: wgpu::ComputePipeline,
    descend: wgpu::ComputePipeline,
}

impl Host {
    /// `pieces` in the order of the shader's struct.
    pub fn new(device: &wgpu::Device, memory: &wgpu::Buffer, pieces: [Piece; 8]) -> Self {
        let at = device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
            label: Some("where the host's tensors are"),
            contents: bytemuck::cast_slice(&pieces.map(|piece| (piece.offset / 4) as u32)),
            usage: wgpu::BufferUsages::UNIFORM,
        });
        let entry = |binding, ty| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
            count: None,
        };
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("host"),
            entries: &[
                entry(0, wgpu::BufferBindingType::Storage { read_only: false }),
                entry(1, wgpu::BufferBindingType::Uniform),
            ],
        });
        let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("host"),
            layout: &layout,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: memory.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: at.as_entire_binding() },
            ],
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("host"),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("host"),
            source: wgpu::ShaderSource::Wgsl(SHADER.into()),
        });
        let pipeline = |name| {
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(name),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some(name),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: &[("rate", RATE.into())],
                    ..Default::default()
                },
                cache: None,
            })
        };
        let [generate, activate, descend] = ["generate", "activate", "descend"].map(pipeline);
        Self { bind_group, generate, activate, descend }
    }

    /// Makes an activation, as the layer before would.
    pub fn generate(&self, encoder: &mut wgpu::CommandEncoder, len: u32) {
        self.record(encoder, &self.generate, len);
    }

    /// The layer after: a rectifier, and the gradient of a loss that flows back through it.
    pub fn activate(&self, encoder: &mut wgpu::CommandEncoder, len: u32) {
        self.record(encoder, &self.activate, len);
    }

    /// The optimizer.
    pub fn descend(&self, encoder: &mut wgpu::CommandEncoder, channels: u32) {
        self.record(encoder, &self.descend, channels);
    }

    /// The tensors here are whole numbers of workgroups.
    fn record(&self, encoder: &mut wgpu::CommandEncoder, pipeline: &wgpu::ComputePipeline, len: u32) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        pass.dispatch_workgroups(len / 64, 1, 1);
    }
}
