//! A kernel of a plan as CubeCL compiles and launches it.

use cubecl::ir::metadata::Info;
use cubecl::ir::{ElemType, UIntKind};
use cubecl::prelude::{AddressType, KernelDefinition, KernelId, KernelMetadata, KernelSettings, Scope};
use cubecl::{CubeDim, CubeKernel, ExecutionMode, PrecompiledSource};
use wgpu_batchnorm::{Kernel, Role, Sharing};

/// The language of the kernels, as CubeCL's compilers name it, and the runtime that takes it.
const LANGUAGE: &str = "wgsl";
pub(crate) const WGSL_RUNTIME: &str = "wgpu<wgsl>";

/// Buffers are bound by position, in the order of the kernel's bindings; the parameters come last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WgslKernel(Kernel);

impl WgslKernel {
    /// CubeCL puts many tensors into one buffer, and may so for any launch: all are bound as writable.
    pub(crate) fn new(kernel: Kernel) -> Self {
        Self(kernel.with_sharing(Sharing::Shared))
    }

    /// What it binds, in order, the parameters left out; and whether it writes it.
    pub(crate) fn buffers(kernel: &Kernel) -> impl Iterator<Item = (Role, bool)> {
        let bindings = kernel.with_sharing(Sharing::Separate).bindings().into_iter();
        bindings.filter(|binding| binding.storage()).map(|binding| (binding.role, binding.writable))
    }
}

impl KernelMetadata for WgslKernel {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    /// The WGSL follows from the kernel alone.
    fn id(&self) -> KernelId {
        KernelId::new::<Self>().info(self.0)
    }

    fn address_type(&self) -> ElemType {
        UIntKind::U32.into()
    }
}

impl CubeKernel for WgslKernel {
    /// Nothing to compile: the source says it all.
    fn define(&self) -> KernelDefinition {
        let dim = CubeDim::new_1d(self.0.workgroup_size());
        let settings = KernelSettings::new(dim.into(), ExecutionMode::Checked, AddressType::U32);
        KernelDefinition { body: Scope::root(settings.clone()), settings, info: Info::default() }
    }

    fn source(&self) -> Option<PrecompiledSource> {
        let buffers: Vec<Role> = Self::buffers(&self.0).map(|(role, _)| role).collect();
        // What is no buffer are the parameters.
        let position =
            |role| buffers.iter().position(|buffer| *buffer == role).unwrap_or(buffers.len()) as u32;
        Some(PrecompiledSource {
            source: self.0.wgsl_numbered(position),
            entrypoint_name: self.0.name().to_owned(),
            lang: LANGUAGE,
        })
    }
}
