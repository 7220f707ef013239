//! Copies of a tensor: the driver's own, and WGSL kernels of several widths. What any operation is measured by.

use std::error::Error;

use wgpu_batchnorm::wgpu;

use crate::gpu::Gpu;
use crate::stopwatch::{Timed, Times, begin_pass};
use crate::tensors::{Set, pieces};

/// A kernel that copies `unroll` vectors of 16 bytes for each invocation, a workgroup's vectors side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    pub workgroup: u32,
    pub unroll: u32,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "wgsl @{} x{}", self.workgroup, self.unroll)
    }
}

/// The kinds that the device can run.
pub fn kinds(gpu: &Gpu) -> Vec<Kind> {
    let limits = gpu.device.limits();
    let widest = limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x);
    let all = [64, 128, 256, 512, 1024].into_iter().filter(|&workgroup| workgroup <= widest);
    all.flat_map(|workgroup| [1, 2, 4, 8].map(|unroll| Kind { workgroup, unroll })).collect()
}

fn source(kind: Kind) -> String {
    let Kind { workgroup, unroll } = kind;
    let steps = |each: &dyn Fn(u32) -> String| (0..unroll).map(each).collect::<Vec<_>>().join("\n        ");
    let load = steps(&|i| format!("let v{i} = source[first + {}u];", i * workgroup));
    let store = steps(&|i| format!("target_[first + {}u] = v{i};", i * workgroup));
    let span = workgroup * unroll;
    format!(
        "@group(0) @binding(0) var<storage, read> source: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> target_: array<vec4<u32>>;

@compute @workgroup_size({workgroup})
fn copy(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {{
    let begin = (id.y * grid.x + id.x) * {span}u;
    let count = arrayLength(&source);
    let first = begin + lane;
    if begin + {span}u <= count {{
        {load}
        {store}
        return;
    }}
    for (var i = first; i < count; i += {workgroup}u) {{
        target_[i] = source[i];
    }}
}}
"
    )
}

/// A compiled kernel.
pub struct Kernel {
    pub kind: Kind,
    pipeline: wgpu::ComputePipeline,
    max_workgroups: u64,
}

impl Kernel {
    pub fn new(gpu: &Gpu, kind: Kind) -> Self {
        let source = wgpu::ShaderSource::Wgsl(source(kind).into());
        let module =
            gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some("copy"), source });
        let pipeline = gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("copy"),
            layout: None,
            module: &module,
            entry_point: Some("copy"),
            compilation_options: Default::default(),
            cache: None,
        });
        let max_workgroups = gpu.device.limits().max_compute_workgroups_per_dimension.into();
        Self { kind, pipeline, max_workgroups }
    }

    /// Bound to each set of tensors.
    pub fn over<'a>(&'a self, gpu: &Gpu, sets: &[Set]) -> KernelCopy<'a> {
        let bind = |from: wgpu::BufferBinding<'_>, to: wgpu::BufferBinding<'_>| {
            let bytes = from.size.map_or(0, |size| size.get());
            let entry = |binding, buffer| wgpu::BindGroupEntry {
                binding,
                resource: wgpu::BindingResource::Buffer(buffer),
            };
            let bind_group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("copy"),
                layout: &self.pipeline.get_bind_group_layout(0),
                entries: &[entry(0, from), entry(1, to)],
            });
            (bind_group, self.grid(bytes))
        };
        let sets = sets.iter().map(|set| {
            let pairs = pieces(gpu, &set.x).into_iter().zip(pieces(gpu, &set.out));
            pairs.map(|(from, to)| bind(from, to)).collect()
        });
        KernelCopy { kernel: self, sets: sets.collect() }
    }

    fn grid(&self, bytes: u64) -> [u32; 2] {
        let span = u64::from(self.kind.workgroup * self.kind.unroll) * 16;
        let workgroups = bytes.div_ceil(span);
        let rows = workgroups.div_ceil(self.max_workgroups).max(1);
        [workgroups.div_ceil(rows) as u32, rows as u32]
    }
}

/// A kernel over sets of tensors: dispatches for each.
pub struct KernelCopy<'a> {
    kernel: &'a Kernel,
    sets: Vec<Vec<(wgpu::BindGroup, [u32; 2])>>,
}

impl Timed for KernelCopy<'_> {
    fn record(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        set: usize,
        times: Option<Times<'_>>,
    ) -> Result<(), Box<dyn Error>> {
        let mut pass = begin_pass(encoder, times);
        pass.set_pipeline(&self.kernel.pipeline);
        for (bind_group, [x, y]) in &self.sets[set] {
            pass.set_bind_group(0, bind_group, &[]);
            pass.dispatch_workgroups(*x, *y, 1);
        }
        Ok(())
    }
}

/// `copy_buffer_to_buffer`.
pub struct DriverCopy<'a>(pub &'a [Set]);

impl Timed for DriverCopy<'_> {
    fn record(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        set: usize,
        times: Option<Times<'_>>,
    ) -> Result<(), Box<dyn Error>> {
        let Set { x, out, .. } = &self.0[set];
        if let Some(Times { queries, first }) = times {
            encoder.write_timestamp(queries, first);
        }
        encoder.copy_buffer_to_buffer(x, 0, out, 0, None);
        if let Some(Times { queries, first }) = times {
            encoder.write_timestamp(queries, first + 1);
        }
        Ok(())
    }
}
