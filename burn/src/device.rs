//! What a CubeCL device can do, as a plan wants to know it.

use cubecl::client::Client;
use cubecl::ir::features::Plane;
use wgpu_batchnorm::Caps;

/// The limits of a client's device.
pub(crate) fn caps(client: &Client) -> Caps {
    let properties = client.properties();
    let hardware = &properties.hardware;
    let within_u32 = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    Caps {
        max_invocations: hardware.max_units_per_cube.min(hardware.max_cube_dim.0),
        max_workgroup_storage: within_u32(hardware.max_shared_memory_size as u64),
        max_workgroups: hardware.max_cube_count.0,
        max_storage_buffers: hardware.max_bindings,
        max_binding_size: properties.memory.max_page_size,
        offset_alignment: within_u32(properties.memory.alignment),
        subgroups: properties.features.plane.contains(Plane::Ops),
        cpu: is_software(&properties.identity.name),
    }
}

/// CubeCL does not say whether an adapter is a CPU; the software drivers of Mesa, Chromium and Windows are known by name.
fn is_software(adapter: &str) -> bool {
    ["llvmpipe", "SwiftShader", "Basic Render"].iter().any(|name| adapter.contains(name))
}

#[cfg(test)]
mod tests {
    use super::is_software;

    #[test]
    fn software_is_known_by_name() {
        assert!(is_software("llvmpipe (LLVM 15.0.6, 256 bits)"));
        assert!(is_software("Microsoft Basic Render Driver"));
        assert!(!is_software("NVIDIA H100 PCIe"));
    }
}
