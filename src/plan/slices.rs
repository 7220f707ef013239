//! Slices: a tensor that is larger than one binding, in parts that are not. Arithmetic without choices.

use super::{Launch, Place};
use crate::caps::Caps;
use crate::error::Error;
use crate::role::Role;
use crate::tensor::Shape;

/// Slices at most, each a launch of its own: of 128 MiB each, WebGPU's default, they are 128 GiB.
const MOST_SLICES: u64 = 1024;

/// Part of a tensor whose values lie side by side: some rows; or some channels of one; or part of one channel of one.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    /// As a tensor of its own.
    pub(super) shape: Shape,
    /// Slices of one sequence have different channels, and as many values of each.
    pub(super) sequence: u32,
    first_channel: u32,
    /// First value in the whole tensor.
    start: u64,
    /// Values in a word or vector of its kernel.
    unit: u32,
    /// Whether it is the whole tensor.
    whole: bool,
}

/// The slices of a tensor, sequence by sequence: one, where it fits one binding. Each begins with a whole word or vector of `unit`
/// values, a power of two.
pub(super) fn slices(shape: &Shape, unit: u32, caps: &Caps) -> Result<Vec<Slice>, Error> {
    let size = shape.dtype().size();
    let slice = |shape, sequence, first_channel, start| Slice {
        shape,
        sequence,
        first_channel,
        start,
        unit,
        whole: false,
    };
    // Kernels number values with u32, and steps look ahead.
    let numbered = i32::MAX as u64;
    if shape.size_in_bytes() <= caps.max_binding_size && shape.len() <= numbered {
        return Ok(vec![Slice { whole: true, ..slice(*shape, 0, 0, 0) }]);
    }
    // A binding begins where the device lets it, somewhat before the slice.
    let most = (caps.max_binding_size.saturating_sub(caps.offset_alignment.into()) / size).min(numbered);
    // As many as fit, and after which a word or vector begins.
    let fitting = |len: u64| {
        let every = u64::from(unit >> len.trailing_zeros().min(unit.trailing_zeros()));
        (most / len / every * every) as u32
    };
    let (outer, channels, inner) = (shape.outer(), shape.channels(), shape.inner());
    let (plane, row) = (u64::from(inner), u64::from(channels) * u64::from(inner));
    let (rows, planes, values) = (fitting(row), fitting(plane), fitting(1));
    let whole = |len: u64| len.is_multiple_of(u64::from(unit));
    let few = |times: u64, len: u32, step: u32| {
        step > 0 && times.saturating_mul(len.div_ceil(step).into()) <= MOST_SLICES
    };
    let (images, all_planes) = (u64::from(outer), u64::from(outer) * u64::from(channels));
    let mut slices = Vec::new();
    if few(1, outer, rows) {
        for (i, (at, rows)) in (0..).zip(steps(outer, rows)) {
            slices.push(slice(shape.part(rows, channels, inner), i, 0, u64::from(at) * row));
        }
    } else if rows == 0 && whole(row) && few(images, channels, planes) {
        for at in 0..outer {
            for (first, channels) in steps(channels, planes) {
                let start = u64::from(at) * row + u64::from(first) * plane;
                slices.push(slice(shape.part(1, channels, inner), at, first, start));
            }
        }
    } else if rows == 0 && planes == 0 && whole(plane) && few(all_planes, inner, values) {
        let parts = inner.div_ceil(values);
        for (at, (i, (first, values))) in
            (0..outer).flat_map(|at| (0..).zip(steps(inner, values)).map(move |step| (at, step)))
        {
            for channel in 0..channels {
                let start = u64::from(at) * row + u64::from(channel) * plane + u64::from(first);
                slices.push(slice(shape.part(1, 1, values), at * parts + i, channel, start));
            }
        }
    } else {
        // Two rows of f16 that share a word, and are more than can be numbered, whatever the device.
        if shape.size_in_bytes() <= caps.max_binding_size {
            return Err(Error::TooManyValues { got: shape.len(), max: numbered });
        }
        let (limit, got) = ("max_storage_buffer_binding_size", caps.max_binding_size);
        return Err(Error::Limit { argument: "x", limit, got, needs: shape.size_in_bytes() });
    }
    Ok(slices)
}

/// 0..len in steps: where each begins, and how long it is.
fn steps(len: u32, step: u32) -> impl Iterator<Item = (u32, u32)> {
    (0..len.div_ceil(step)).map(move |i| (i * step, step.min(len - i * step)))
}

impl Slice {
    /// Binds a launch over it to its part of the caller's tensors, and of the channels.
    pub(super) fn bind(&self, launch: &mut Launch, tensors: &[Role], all: &Shape, caps: &Caps) {
        let params = &mut launch.params;
        params.first_channel = self.first_channel;
        params.all_channels = all.channels();
        if self.whole {
            return;
        }
        let size = all.dtype().size();
        let begin = self.start * size;
        let offset = begin - begin % u64::from(caps.offset_alignment.max(1));
        params.first = ((begin - offset) / size) as u32 / self.unit;
        let bytes = begin - offset + self.shape.size_in_bytes();
        launch.places.extend(tensors.iter().map(|&role| (role, Place::Slice { role, offset, bytes })));
    }

    /// Lets its partial results lie after so many sets of all channels.
    pub(super) fn store(&self, launch: &mut Launch, sets_before: u32) {
        // Where it wraps the partial results are more than one binding, and the plan is refused.
        let before = sets_before.wrapping_mul(launch.params.all_channels);
        launch.params.first_partial = before.wrapping_add(self.first_channel);
    }
}
