//! A residual and a ReLU as a launch of their own: what a layer without a fused tail is followed by.

use wgpu_batchnorm::{Dtype, Shape, wgpu};

use crate::cell::Operation;
use crate::gpu::Gpu;

pub struct Pointwise {
    pipeline: wgpu::ComputePipeline,
    workgroups: u32,
}

impl Pointwise {
    /// Forward the sum and the ReLU, backward the ReLU.
    pub fn new(gpu: &Gpu, operation: Operation, shape: &Shape) -> Self {
        let direction = if operation == Operation::Backward { "backward" } else { "forward" };
        let ty = if shape.dtype() == Dtype::F32 { "vec4<f32>" } else { "vec4<u32>" };
        let step = format!("{direction}_{}", shape.dtype());
        let source = include_str!("pointwise.wgsl").replace("TYPE", ty).replace("STEP", &step);
        let source = wgpu::ShaderSource::Wgsl(source.into());
        let module = gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
        let pipeline = gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("pointwise"),
            layout: None,
            module: &module,
            entry_point: Some("pointwise"),
            compilation_options: Default::default(),
            cache: None,
        });
        let workgroups = shape.size_in_bytes().div_ceil(16 * 256 * 4) as u32;
        Self { pipeline, workgroups }
    }

    /// Two tensors that are read, and one that is written.
    pub fn record(&self, gpu: &Gpu, pass: &mut wgpu::ComputePass<'_>, tensors: [wgpu::BufferBinding<'_>; 3]) {
        let entries: Vec<_> = (0..)
            .zip(tensors)
            .map(|(binding, tensor)| wgpu::BindGroupEntry {
                binding,
                resource: wgpu::BindingResource::Buffer(tensor),
            })
            .collect();
        let bind_group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &self.pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &bind_group, &[]);
        let rows = self.workgroups.div_ceil(65_535);
        pass.dispatch_workgroups(self.workgroups.div_ceil(rows), rows, 1);
    }
}
