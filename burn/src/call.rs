//! A plan of wgpu-batchnorm over Burn's buffers: which there are, which have to be made, and its launches.

use std::sync::Arc;

use burn::backend::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::cast;
use burn_cubecl::tensor::CubeTensor;
use cubecl::CubeCount;
use cubecl::ir::attributes::BufferIOAttr;
use cubecl::server::{Handle, KernelArguments, MetadataBindingInfo};
use cubecl::zspace::Shape as Dims;
use cubecl::zspace::metadata::Metadata;
use wgpu_batchnorm::{Access, Argument, Layer, Params, Place, Role};

use crate::device::caps;
use crate::kernel::WgslKernel;
use crate::layout::{self, Order};
use crate::operation::{Inputs, Optional, Running, SAVED};
use crate::plans::{Operation, Prepared, prepared};

/// An operation on x that is about to be launched.
pub(crate) struct Call {
    x: CubeTensor,
    order: Order,
    prepared: Arc<Prepared>,
    given: Buffers,
}

/// What it has written.
pub(crate) struct Results {
    x: CubeTensor,
    buffers: Buffers,
}

/// Buffers by what they are for.
struct Buffers(Vec<(Role, Handle)>);

impl Buffers {
    fn get(&self, role: Role) -> &Handle {
        let found = self.0.iter().find(|(of, _)| *of == role);
        // `tests/plans` of the library holds that launches bind a plan's arguments and nothing else.
        &found.expect("a plan's arguments are given or made before its launches").1
    }

    /// Whether some of them is the same memory, in part at least.
    fn overlap(&self, handle: &Handle) -> bool {
        let range = |handle: &Handle| {
            let start = handle.offset_start.unwrap_or(0);
            start..start + handle.size_in_used()
        };
        self.0.iter().any(|(_, other)| {
            let (a, b) = (range(handle), range(other));
            handle.memory.descriptor() == other.memory.descriptor() && a.start < b.end && b.start < a.end
        })
    }
}

impl Call {
    /// By the plan for the tensor as it lies, or without gaps where it has some.
    pub(crate) fn new(operation: Operation, inputs: Inputs<CubeBackend>, layer: Layer) -> Self {
        let layer = inputs.layer(layer);
        let Inputs { x, gamma, beta, residual } = inputs;
        let caps = caps(&x.client);
        let (x, order) = layout::dense(x);
        let planned = |order: &Order| {
            let dtype = layout::dtype(x.dtype)?;
            let shape = order.shape(x.meta.shape(), dtype).ok()?;
            prepared(operation, &layer, shape, caps.clone()).ok()
        };
        let (prepared, order) = planned(&order)
            .map(|prepared| (prepared, order))
            .or_else(|| {
                let order = Order::row_major(x.meta.num_dims());
                Some((planned(&order)?, order))
            })
            // No user's input gets here: the layer asks `Path`, which plans this shape with all gradients (a test in
            // `plans.rs` holds that any of them have a plan then), and else calls
            // Burn's own operation.
            .expect("Path is asked before: the row-major tensor has a plan");
        let x = order.lay(x);
        let call = Self { x: x.clone(), order, prepared, given: Buffers(Vec::new()) };
        let call = call.with_tensor(Role::X, x);
        let call = call.with_parameter(Role::Gamma, gamma).with_parameter(Role::Beta, beta);
        match residual {
            Optional::Absent => call,
            Optional::Given(residual) => call.with_tensor(Role::Residual, residual),
        }
    }

    pub(crate) fn with_running(self, Running { mean, var }: Running<CubeBackend>) -> Self {
        self.with_parameter(Role::RunningMean, mean).with_parameter(Role::RunningVar, var)
    }

    pub(crate) fn with_saved(self, saved: CubeTensor) -> Self {
        self.with_parameter(Role::Saved, saved)
    }

    pub(crate) fn with_dy(self, dy: CubeTensor) -> Self {
        self.with_tensor(Role::Dy, dy)
    }

    /// Value by value beside x.
    fn with_tensor(self, role: Role, tensor: CubeTensor) -> Self {
        let (order, dtype) = (self.order.clone(), self.x.dtype);
        self.with(role, tensor, &order, dtype)
    }

    /// Numbers of each channel, as the kernels read them.
    fn with_parameter(self, role: Role, tensor: CubeTensor) -> Self {
        let order = Order::row_major(tensor.meta.num_dims());
        self.with(role, tensor, &order, DType::F32)
    }

    fn with(mut self, role: Role, tensor: CubeTensor, order: &Order, dtype: DType) -> Self {
        if !self.prepared.asks_for(role) {
            return self;
        }
        let tensor = if tensor.dtype == dtype { tensor } else { cast(tensor, dtype) };
        let tensor = order.lay(tensor);
        // All are bound as writable, and WebGPU has no memory bound so twice.
        let apart = if self.given.overlap(&tensor.handle) { order.lay(tensor.copy()) } else { tensor };
        self.given.0.push((role, apart.handle));
        self
    }

    /// Makes the buffers that are written, and launches.
    pub(crate) fn launch(self) -> Results {
        let Self { x, prepared, given: mut buffers, .. } = self;
        let plan = &prepared.plan;
        let client = &x.client;
        for Argument { role, access, bytes, .. } in plan.arguments() {
            match access {
                Access::Read => {}
                Access::Write => buffers.0.push((*role, client.empty(*bytes as usize))),
                // Counters, which nobody reads: Burn's record has no place for them.
                Access::ReadWrite => {
                    buffers.0.push((*role, client.create_from_slice(&vec![0; *bytes as usize])));
                }
            }
        }
        for (launch, bound) in plan.launches().iter().zip(&prepared.buffers) {
            let mut arguments = KernelArguments::new();
            for (role, writes) in bound {
                let handle = match launch.place(*role) {
                    Place::Argument(role) => buffers.get(role).clone(),
                    Place::Slice { role, offset, bytes } => part(buffers.get(role), offset, bytes),
                    Place::Workspace { offset, bytes } => part(buffers.get(Role::Workspace), offset, bytes),
                };
                let io = if *writes { BufferIOAttr::ReadWrite } else { BufferIOAttr::ReadOnly };
                arguments = arguments.with_buffer_io(handle.binding(), io);
            }
            arguments.info = MetadataBindingInfo::custom(words(&launch.params));
            let [columns, rows] = launch.grid;
            client.launch(
                Box::new(WgslKernel::new(launch.kernel)),
                CubeCount::Static(columns, rows, 1),
                arguments,
            );
        }
        Results { x, buffers }
    }
}

impl Results {
    /// A tensor that lies as x does.
    pub(crate) fn tensor(&self, role: Role) -> CubeTensor {
        self.made(role, (*self.x.meta).clone(), self.x.dtype)
    }

    /// What the backward pass needs of the statistics.
    pub(crate) fn saved(&self) -> CubeTensor {
        self.made(Role::Saved, Metadata::new([self.channels(), SAVED], [SAVED, 1]), DType::F32)
    }

    /// A number for each channel, in the type that Burn keeps such numbers in.
    pub(crate) fn per_channel(&self, role: Role, dtype: DType) -> CubeTensor {
        let tensor = self.made(role, Metadata::new([self.channels()], [1]), DType::F32);
        if dtype == DType::F32 { tensor } else { cast(tensor, dtype) }
    }

    fn made(&self, role: Role, metadata: Metadata, dtype: DType) -> CubeTensor {
        let CubeTensor { client, device, .. } = &self.x;
        let handle = self.buffers.get(role).clone();
        CubeTensor::new(client.clone(), handle, metadata, device.clone(), dtype)
    }

    fn channels(&self) -> usize {
        let dims: &Dims = self.x.meta.shape();
        dims[layout::CHANNEL_AXIS]
    }
}

/// Some bytes of a buffer.
fn part(handle: &Handle, offset: u64, bytes: u64) -> Handle {
    let after = handle.size_in_used().saturating_sub(offset + bytes);
    handle.clone().offset_start(offset).offset_end(after)
}

/// The parameters as CubeCL carries numbers to a kernel.
fn words(params: &Params) -> Vec<u64> {
    let words: &[u32] = bytemuck::cast_slice(std::slice::from_ref(params));
    words
        .chunks(2)
        .map(|pair| u64::from(pair[0]) | pair.get(1).map_or(0, |high| u64::from(*high) << 32))
        .collect()
}
