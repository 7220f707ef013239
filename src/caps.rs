//! What a device can do, as far as a plan depends on it.

/// The limits of a device that a plan depends on. Plain data: a plan can be made for a device that is not here.
///
/// ```
/// use wgpu_batchnorm::Caps;
///
/// assert_eq!(Caps::WEBGPU.max_invocations, 256);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Caps {
    /// Invocations in a workgroup: the smaller of `max_compute_invocations_per_workgroup` and
    /// `max_compute_workgroup_size_x`.
    pub max_invocations: u32,
    /// `max_compute_workgroup_storage_size`, in bytes.
    pub max_workgroup_storage: u32,
    /// `max_compute_workgroups_per_dimension`.
    pub max_workgroups: u32,
    /// `max_storage_buffers_per_shader_stage`.
    pub max_storage_buffers: u32,
    /// `max_storage_buffer_binding_size`, in bytes.
    pub max_binding_size: u64,
    /// `min_storage_buffer_offset_alignment`, in bytes.
    pub offset_alignment: u32,
    /// Whether the device has [`wgpu::Features::SUBGROUP`].
    pub subgroups: bool,
    /// Whether it is a CPU, as lavapipe and WARP are: launches cost little there, and cache misses much.
    pub cpu: bool,
}

impl Caps {
    /// The limits that every WebGPU device has, and wgpu's defaults.
    pub const WEBGPU: Self = Self::from_limits(&wgpu::Limits::defaults());

    /// All that a plan may know of a device.
    ///
    /// ```no_run
    /// # fn f(device: &wgpu::Device) {
    /// let caps = wgpu_batchnorm::Caps::from_device(device);
    /// # }
    /// ```
    pub fn from_device(device: &wgpu::Device) -> Self {
        Self {
            subgroups: device.features().contains(wgpu::Features::SUBGROUP),
            cpu: device.adapter_info().device_type == wgpu::DeviceType::Cpu,
            ..Self::from_limits(&device.limits())
        }
    }

    /// The limits of a device without features.
    ///
    /// ```
    /// use wgpu_batchnorm::{Caps, wgpu};
    ///
    /// assert_eq!(Caps::from_limits(&wgpu::Limits::defaults()), Caps::WEBGPU);
    /// ```
    pub const fn from_limits(limits: &wgpu::Limits) -> Self {
        let (a, b) = (limits.max_compute_invocations_per_workgroup, limits.max_compute_workgroup_size_x);
        Self {
            max_invocations: if a < b { a } else { b },
            max_workgroup_storage: limits.max_compute_workgroup_storage_size,
            max_workgroups: limits.max_compute_workgroups_per_dimension,
            max_storage_buffers: limits.max_storage_buffers_per_shader_stage,
            max_binding_size: limits.max_storage_buffer_binding_size,
            offset_alignment: limits.min_storage_buffer_offset_alignment,
            subgroups: false,
            cpu: false,
        }
    }
}
