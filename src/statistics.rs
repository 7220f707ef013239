//! What the kernels keep of a channel, as it lies in the caller's buffers.

use bytemuck::{Pod, Zeroable};

/// What the training forward pass saves of one channel for the backward pass: 16 bytes of `saved[channel]`.
///
/// The mean is `pivot + difference`, kept apart: a channel far from zero has a mean that one f32 cannot hold exactly
/// enough, while `(x - pivot) - difference` loses nothing.
///
/// ```
/// use wgpu_batchnorm::SavedStatistics;
///
/// let bytes: Vec<u8> = bytemuck::cast_slice(&[1e6f32, 0.01, 4.0, 0.5]).to_vec();
/// let saved: &[SavedStatistics] = bytemuck::cast_slice(&bytes);
/// assert_eq!(saved[0].mean(), 1e6 + f64::from(0.01f32));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct SavedStatistics {
    /// A value near the mean.
    pub pivot: f32,
    /// Mean minus pivot.
    pub difference: f32,
    /// Biased variance of the batch: divided by m.
    pub variance: f32,
    /// `1 / sqrt(variance + eps)`.
    pub invstd: f32,
}

impl SavedStatistics {
    /// Bytes of one channel.
    pub const SIZE: u64 = size_of::<Self>() as u64;

    /// The mean, with the digits that one f32 would drop.
    pub fn mean(&self) -> f64 {
        f64::from(self.pivot) + f64::from(self.difference)
    }
}

/// Count, mean and sum of squared deviations of one channel over part of a batch: 16 bytes of `moments[channel]`.
///
/// Moments of several parts are merged by the formula of Chan, Golub and LeVeque (1979); see
/// [`MergeMoments`](crate::MergeMoments).
///
/// ```
/// use wgpu_batchnorm::Moments;
///
/// let moments = Moments { count: 4, pivot: 2.0, difference: 0.5, m2: 5.0 };
/// assert_eq!((moments.mean(), moments.variance()), (2.5, 1.25));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Moments {
    /// Number of values.
    pub count: u32,
    /// A value near the mean.
    pub pivot: f32,
    /// Mean minus pivot.
    pub difference: f32,
    /// Sum of squared deviations from the mean.
    pub m2: f32,
}

impl Moments {
    /// Bytes of one channel.
    pub const SIZE: u64 = size_of::<Self>() as u64;

    /// The mean, with the digits that one f32 would drop.
    pub fn mean(&self) -> f64 {
        f64::from(self.pivot) + f64::from(self.difference)
    }

    /// The biased variance, NaN for a count of 0.
    pub fn variance(&self) -> f64 {
        f64::from(self.m2) / f64::from(self.count)
    }
}

/// The two sums over one channel that its gradients are made of: 12 bytes of `sums[channel]`.
///
/// Sums of several parts of a batch are merged by adding field by field; see
/// [`MergeGradientSums`](crate::MergeGradientSums).
///
/// ```
/// use wgpu_batchnorm::GradientSums;
///
/// assert_eq!(GradientSums::SIZE, 12);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct GradientSums {
    /// Number of values summed over.
    pub count: u32,
    /// Sum of `dy`, which is the gradient of beta.
    pub dy: f32,
    /// Sum of `dy * (x - mean)`; times invstd it is the gradient of gamma.
    pub dy_centered: f32,
}

impl GradientSums {
    /// Bytes of one channel.
    pub const SIZE: u64 = size_of::<Self>() as u64;
}

/// How the records of several parts of a batch lie in the one buffer that they are gathered in: `[sets, channels]`,
/// row-major, in the order in which they are merged.
///
/// ```
/// use wgpu_batchnorm::{Gathered, Moments};
///
/// let of_four_devices = Gathered { sets: 4, channels: 64 };
/// assert_eq!(of_four_devices.records() * Moments::SIZE, 4 * 64 * 16);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gathered {
    /// Number of parts, from 1 to [`MAX_SETS`](crate::MAX_SETS).
    pub sets: u32,
    /// Number of channels, at least 1.
    pub channels: u32,
}

impl Gathered {
    /// Records in the buffer.
    pub fn records(&self) -> u64 {
        u64::from(self.sets) * u64::from(self.channels)
    }
}
