//! Which implementation carries a batch norm out.

use std::fmt;

use burn::backend::DispatchDevice;
use burn::tensor::{DType, Device};
use burn_cubecl::CubeDevice;
use wgpu_batchnorm::{Error, Layer};

use crate::device::caps;
use crate::kernel::WGSL_RUNTIME;
use crate::layout::{self, Order};
use crate::plans::{Operation, prepared};

/// Which implementation carries a batch norm out: [`BatchNorm::path`](crate::BatchNorm::path).
///
/// ```no_run
/// use burn::tensor::{Device, DeviceKind, Tensor};
/// use wgpu_batchnorm_burn::{BatchNormConfig, Path};
///
/// let device = Device::wgpu(DeviceKind::DefaultDevice).autodiff();
/// let layer = BatchNormConfig::new(64).init(&device);
/// let input = Tensor::<4>::zeros([32, 64, 28, 28], &device);
/// match layer.path(&input) {
///     Path::Kernels => println!("a few launches"),
///     Path::Burn(reason) => println!("Burn's own operations: {reason}"),
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Path {
    /// The kernels of wgpu-batchnorm.
    Kernels,
    /// Burn's own operations: the same answer, in more launches and with Burn's rounding.
    Burn(Reason),
}

/// Why the kernels do not serve.
///
/// ```
/// use burn::tensor::DType;
/// use wgpu_batchnorm_burn::Reason;
///
/// assert_eq!(Reason::Dtype(DType::BF16).to_string(), "the kernels have f32 and f16, not BF16");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// The device is not one of CubeCL's runtimes.
    Backend,
    /// The device's compiler takes another language than WGSL. It holds what CubeCL calls the runtime: `cuda`, `cpu`,
    /// `wgpu<spirv>` with Burn's feature `vulkan`, `wgpu<msl>` with its feature `metal`.
    Runtime(&'static str),
    /// The kernels have f32 and f16.
    Dtype(DType),
    /// The tensor has no values: it is given back, and the running statistics stay as they are.
    Empty,
    /// The kernels refuse the layer: one value per channel, or a limit of the device.
    Layer(Error),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backend => write!(f, "the device is not one of CubeCL's"),
            Self::Runtime(name) => write!(f, "{name} does not take WGSL"),
            Self::Dtype(dtype) => write!(f, "the kernels have f32 and f16, not {dtype:?}"),
            Self::Empty => write!(f, "the tensor is empty"),
            Self::Layer(error) => write!(f, "{error}"),
        }
    }
}

/// Whether the layer takes the batch's statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Training,
    Inference,
}

impl Path {
    pub(crate) fn of(device: &Device, dims: &[usize], dtype: DType, layer: &Layer, mode: Mode) -> Self {
        Self::check(device, dims, dtype, layer, mode).map_or_else(Self::Burn, |()| Self::Kernels)
    }

    fn check(device: &Device, dims: &[usize], dtype: DType, layer: &Layer, mode: Mode) -> Result<(), Reason> {
        let client = cube(device).ok_or(Reason::Backend)?.client();
        if client.name() != WGSL_RUNTIME {
            return Err(Reason::Runtime(client.name()));
        }
        let kernels = layout::dtype(dtype).ok_or(Reason::Dtype(dtype))?;
        if dims.contains(&0) {
            return Err(Reason::Empty);
        }
        let shape = Order::row_major(dims.len()).shape(dims, kernels).map_err(Reason::Layer)?;
        let caps = caps(&client);
        let gradients = layer.gradients();
        let operations = match mode {
            Mode::Training => [Operation::Training, Operation::TrainingBackward(gradients)],
            Mode::Inference => [Operation::Inference, Operation::InferenceBackward(gradients)],
        };
        for operation in operations {
            prepared(operation, layer, shape, caps.clone()).map_err(Reason::Layer)?;
        }
        Ok(())
    }
}

/// The device, or the one under autodiff, if it is one of CubeCL's.
fn cube(device: &Device) -> Option<CubeDevice> {
    // Which other backends there are depends on the features of burn.
    if let DispatchDevice::Cube(device) = device.as_dispatch().clone().inner() { Some(device) } else { None }
}
