//! A plain copy of a tensor by a compute shader: what any kernel that reads it once and writes it once can hope for.

use wgpu_batchnorm::wgpu;

const WORKGROUP: u64 = 256;

const SHADER: &str = "
@group(0) @binding(0) var<storage, read> source: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> target_: array<vec4<u32>>;

@compute @workgroup_size(256)
fn copy(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
) {
    let index = id.y * grid.x * 256u + id.x;
    if (index < arrayLength(&source)) {
        target_[index] = source[index];
    }
}
";

pub struct Copy {
    pipeline: wgpu::ComputePipeline,
    max_workgroups: u64,
}

impl Copy {
    /// What buffers to be copied are a multiple of, in bytes.
    pub const GRANULE: u64 = 16;

    pub fn new(device: &wgpu::Device) -> Self {
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("copy"),
            source: wgpu::ShaderSource::Wgsl(SHADER.into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("copy"),
            layout: None,
            module: &module,
            entry_point: Some("copy"),
            compilation_options: Default::default(),
            cache: None,
        });
        let max_workgroups = device.limits().max_compute_workgroups_per_dimension.into();
        Self { pipeline, max_workgroups }
    }

    pub fn bind(&self, device: &wgpu::Device, from: &wgpu::Buffer, to: &wgpu::Buffer) -> wgpu::BindGroup {
        device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("copy"),
            layout: &self.pipeline.get_bind_group_layout(0),
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: from.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: to.as_entire_binding() },
            ],
        })
    }

    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>, bind_group: &wgpu::BindGroup, bytes: u64) {
        let workgroups = bytes.div_ceil(Self::GRANULE * WORKGROUP);
        let rows = workgroups.div_ceil(self.max_workgroups);
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, bind_group, &[]);
        pass.dispatch_workgroups(workgroups.div_ceil(rows.max(1)) as u32, rows as u32, 1);
    }
}
