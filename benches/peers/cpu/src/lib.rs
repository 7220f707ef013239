//! The CPU path as a C library: `benches/peers/cpu_against_torch.py` has it work on PyTorch's own tensors, so that both
//! sides of the comparison have the same process, memory and caches.

use std::ffi::c_void;
use std::slice::{from_raw_parts, from_raw_parts_mut};

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};
use wgpu_batchnorm::cpu::{self, BackwardSlices, Element, InferenceSlices, TrainingSlices};
use wgpu_batchnorm::{
    BackwardOptions, Dtype, Error, InferenceOptions, SavedStatistics, Shape, TrainingOptions,
};

/// A tensor `[outer, channels, inner]` and what goes with it; per channel, f32.
#[derive(Debug)]
#[repr(C)]
pub struct Call {
    /// 0 training, 1 inference, 2 backward, 3 a copy of x.
    operation: u32,
    /// 0 f32, 1 f16.
    dtype: u32,
    outer: usize,
    channels: usize,
    inner: usize,
    x: *const c_void,
    dy: *const c_void,
    /// y or dx.
    output: *mut c_void,
    gamma: *const f32,
    beta: *const f32,
    running_mean: *mut f32,
    running_var: *mut f32,
    /// Four numbers per channel.
    saved: *mut SavedStatistics,
    dgamma: *mut f32,
    dbeta: *mut f32,
}

/// Carries the call out: 0, or 1 after a line on standard error.
///
/// # Safety
/// Every pointer is to as many values as the shape has, that nobody else uses for the time of the call; those of `output`,
/// `running_*`, `saved`, `dgamma` and `dbeta` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cpu_batch_norm(call: &Call) -> i32 {
    // SAFETY: as the caller says.
    let done = unsafe {
        match call.dtype {
            0 => carry_out::<f32>(call, Dtype::F32),
            _ => carry_out::<half::f16>(call, Dtype::F16),
        }
    };
    done.map_or_else(
        |error| {
            eprintln!("{error}");
            1
        },
        |()| 0,
    )
}

unsafe fn carry_out<E: Element>(call: &Call, dtype: Dtype) -> Result<(), Error> {
    let shape = Shape::new(&[call.outer, call.channels, call.inner], 1, dtype)?;
    let (len, channels) = (call.outer * call.channels * call.inner, call.channels);
    // SAFETY: as the caller says.
    let (x, dy, output) = unsafe {
        (
            from_raw_parts(call.x.cast::<E>(), len),
            from_raw_parts(call.dy.cast::<E>(), len),
            from_raw_parts_mut(call.output.cast::<E>(), len),
        )
    };
    // SAFETY: as the caller says.
    let (gamma, beta, running_mean, running_var, saved, dgamma, dbeta) = unsafe {
        (
            from_raw_parts(call.gamma, channels),
            from_raw_parts(call.beta, channels),
            from_raw_parts_mut(call.running_mean, channels),
            from_raw_parts_mut(call.running_var, channels),
            from_raw_parts_mut(call.saved, channels),
            from_raw_parts_mut(call.dgamma, channels),
            from_raw_parts_mut(call.dbeta, channels),
        )
    };
    match call.operation {
        0 => cpu::training(
            &shape,
            &TrainingOptions::default(),
            TrainingSlices {
                x,
                y: output,
                gamma: Some(gamma),
                beta: Some(beta),
                running_mean: Some(running_mean),
                running_var: Some(running_var),
                saved,
            },
        ),
        1 => cpu::inference(
            &shape,
            &InferenceOptions::default(),
            InferenceSlices { x, y: output, gamma: Some(gamma), beta: Some(beta), running_mean, running_var },
        ),
        2 => cpu::backward(
            &shape,
            &BackwardOptions::default(),
            BackwardSlices {
                x,
                dy,
                saved,
                gamma: Some(gamma),
                dx: Some(output),
                dgamma: Some(dgamma),
                dbeta: Some(dbeta),
            },
        ),
        _ => {
            let part = len.div_ceil(4 * rayon::current_num_threads()).max(1);
            x.par_chunks(part).zip(output.par_chunks_mut(part)).for_each(|(x, y)| y.copy_from_slice(x));
            Ok(())
        }
    }
}
