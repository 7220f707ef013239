//! Compilation: the only place that creates pipelines.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::caps::Caps;
use crate::error::Error;
use crate::kernel::{Kernel, Params};
use crate::shader::Binding;

/// A device and the pipelines compiled for it. Cheap to clone; clones share their pipelines.
///
/// Pipelines are compiled when an operation that needs them is created, once for each variant. No error handlers are
/// installed, and nothing is submitted or polled. Tensors that share a buffer need another variant: `prepare` of the
/// operation compiles it ahead of the first recording.
///
/// ```no_run
/// # fn f(device: &wgpu::Device) {
/// let context = wgpu_batchnorm::Context::new(device);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Context {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    device: wgpu::Device,
    caps: Caps,
    pipelines: Mutex<HashMap<Kernel, Slot>>,
}

/// Where a pipeline is, or will be when it is compiled.
type Slot = Arc<OnceLock<Arc<Pipeline>>>;

#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) pipeline: wgpu::ComputePipeline,
    pub(crate) layout: wgpu::BindGroupLayout,
    pub(crate) bindings: Vec<Binding>,
}

impl Context {
    /// A context for the caller's device. The device needs no features, and no limits above WebGPU's defaults.
    pub fn new(device: &wgpu::Device) -> Self {
        let caps = Caps::from_device(device);
        let inner = Inner { device: device.clone(), caps, pipelines: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// What plans for this device may use.
    pub fn caps(&self) -> &Caps {
        &self.inner.caps
    }

    /// The device it was created with.
    pub fn device(&self) -> &wgpu::Device {
        &self.inner.device
    }

    /// The pipeline of a kernel, compiled on first use.
    pub(crate) fn pipeline(&self, kernel: Kernel) -> Result<Arc<Pipeline>, Error> {
        let bindings = kernel.bindings();
        self.check(kernel, &bindings)?;
        let mut pipelines = self.inner.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = pipelines.entry(kernel).or_default().clone();
        // Others may compile other kernels meanwhile, or wait for this one.
        drop(pipelines);
        Ok(slot.get_or_init(|| Arc::new(compile(&self.inner.device, kernel, bindings))).clone())
    }

    fn check(&self, kernel: Kernel, bindings: &[Binding]) -> Result<(), Error> {
        let storage = bindings.iter().filter(|binding| binding.storage()).count() as u64;
        let numbers = bindings.iter().map(|binding| u64::from(binding.role.binding()) + 1).max().unwrap_or(0);
        let (caps, workgroup) = (self.caps(), u64::from(kernel.tuning.workgroup));
        let limits = self.device().limits();
        let scratch = kernel.workgroup_storage().into();
        for (limit, got, needs) in [
            ("max_storage_buffers_per_shader_stage", caps.max_storage_buffers.into(), storage),
            ("max_compute_invocations_per_workgroup", caps.max_invocations.into(), workgroup),
            ("max_compute_workgroup_storage_size", caps.max_workgroup_storage.into(), scratch),
            ("max_compute_workgroup_size_y", limits.max_compute_workgroup_size_y.into(), 1),
            ("max_compute_workgroup_size_z", limits.max_compute_workgroup_size_z.into(), 1),
            ("max_bind_groups", limits.max_bind_groups.into(), 1),
            ("max_bindings_per_bind_group", limits.max_bindings_per_bind_group.into(), numbers),
            ("max_uniform_buffers_per_shader_stage", limits.max_uniform_buffers_per_shader_stage.into(), 1),
            (
                "max_uniform_buffer_binding_size",
                limits.max_uniform_buffer_binding_size,
                size_of::<Params>() as u64,
            ),
        ] {
            if needs > got {
                return Err(Error::Limit { argument: kernel.name, limit, got, needs });
            }
        }
        Ok(())
    }
}

fn compile(device: &wgpu::Device, kernel: Kernel, bindings: Vec<Binding>) -> Pipeline {
    let label = Some(kernel.name);
    let source = wgpu::ShaderSource::Wgsl(kernel.wgsl().into());
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label, source });
    let entries: Vec<_> = bindings.iter().map(entry).collect();
    let layout =
        device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label,
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label,
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: label,
        compilation_options: wgpu::PipelineCompilationOptions {
            // Every kernel writes its workgroup memory before it reads it.
            zero_initialize_workgroup_memory: false,
            ..Default::default()
        },
        cache: None,
    });
    Pipeline { pipeline, layout, bindings }
}

fn entry(binding: &Binding) -> wgpu::BindGroupLayoutEntry {
    let ty = if binding.storage() {
        wgpu::BufferBindingType::Storage { read_only: !binding.writable }
    } else {
        wgpu::BufferBindingType::Uniform
    };
    wgpu::BindGroupLayoutEntry {
        binding: binding.role.binding(),
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    }
}
