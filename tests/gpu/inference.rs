//! Inference against the reference.

use wgpu_batchnorm::{Affine, Dtype, InferenceOptions, Shape};

use crate::Test;
use crate::support::arena::Layout;
use crate::support::case::Case;
use crate::support::check::{self, hold};
use crate::support::gpu::Gpu;
use crate::support::{grid, run};

pub const TESTS: &[Test] = &[
    ("grid_f32", grid_f32),
    ("grid_f16", grid_f16),
    ("options", options),
    ("one_value", one_value),
    ("eps_zero", eps_zero),
];

/// y within 8 U |x - mean| scale + 2 U |beta| of the reference for every shape of the grid: five operations, one of
/// them a root that may be off by two units.
fn grid_f32(gpu: &Gpu) {
    for (index, shape) in grid::shapes(Dtype::F32).into_iter().enumerate() {
        let options = InferenceOptions { affine: Affine::ALL[index / 2 % 4], ..Default::default() };
        let case = Case::random(shape, index as u64, 0.5);
        let y = run::inference(gpu, &case, options, Layout::ALL[index % 2]);
        hold(shape, check::inference(&case, &options, &y));
    }
}

/// The same for f16, half a unit in the last place wider; bit by bit the f32 result rounded once.
fn grid_f16(gpu: &Gpu) {
    for (index, shape) in grid::shapes(Dtype::F16).into_iter().enumerate() {
        let options = InferenceOptions { affine: Affine::ALL[index / 2 % 4], ..Default::default() };
        let case = Case::random(shape, index as u64, 0.5);
        let y = run::inference(gpu, &case, options, Layout::ALL[index % 2]);
        hold(shape, check::inference(&case, &options, &y));
        let wide = run::inference(gpu, &case.widened(), options, Layout::ALL[index % 2]);
        hold(shape, check::rounded_once("y", &y, &wide));
    }
}

/// Every affine variant and several eps, in separate buffers and in one, far-off running means included: the bound
/// is relative to what is left after the subtraction.
fn options(gpu: &Gpu) {
    for dtype in Dtype::ALL {
        for dims in [&[5, 6, 7][..], &[9, 5], &[3, 1, 3]] {
            let shape = Shape::new(dims, 1, dtype).expect("a shape");
            for offset in [0.0, 100.0, -30_000.0] {
                let mut case = Case::random(shape, 11, offset);
                case.running.mean.iter_mut().for_each(|mean| *mean = f64::from((*mean + offset) as f32));
                for affine in Affine::ALL {
                    for eps in [1e-5, 1e-3, 0.25] {
                        for layout in Layout::ALL {
                            let options = InferenceOptions { affine, eps, ..Default::default() };
                            let y = run::inference(gpu, &case, options, layout);
                            hold(format!("{shape} {options:?}"), check::inference(&case, &options, &y));
                        }
                    }
                }
            }
        }
    }
}

/// Inference takes one value per channel, which training does not.
fn one_value(gpu: &Gpu) {
    for dtype in Dtype::ALL {
        for channels in [1, 2, 33] {
            let shape = Shape::new(&[1, channels], 1, dtype).expect("a shape");
            let case = Case::random(shape, 5, 1.0);
            let options = InferenceOptions::default();
            let y = run::inference(gpu, &case, options, Layout::Shared);
            hold(shape, check::inference(&case, &options, &y));
        }
    }
}

/// eps may be 0, as in PyTorch: y is x, bit by bit, for mean 0 and variance 1.
fn eps_zero(gpu: &Gpu) {
    for dtype in Dtype::ALL {
        let shape = Shape::new(&[4, 3, 5], 1, dtype).expect("a shape");
        let mut case = Case::random(shape, 5, 1.0);
        case.running.mean.fill(0.0);
        case.running.variance.fill(1.0);
        let options = InferenceOptions { eps: 0.0, affine: Affine::None, ..Default::default() };
        let y = run::inference(gpu, &case, options, Layout::Separate);
        hold(shape, check::within("y", &y, &case.x, |_| 0.0));
    }
}
