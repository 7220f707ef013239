//! Training forward against the reference.

use wgpu_batchnorm::reference;
use wgpu_batchnorm::verify::compare;
use wgpu_batchnorm::{Dtype, Shape, Training, TrainingOptions};

use crate::Test;
use crate::support::arena::Layout;
use crate::support::gpu::Gpu;
use crate::support::run::{self, Case};

pub const TESTS: &[Test] = &[("smoke", smoke)];

fn smoke(gpu: &Gpu) {
    for dtype in Dtype::ALL {
        for dims in [[3usize, 5, 7], [64, 17, 221], [40, 3, 1]] {
            let shape = Shape::new(&dims, 1, dtype).unwrap();
            let options = TrainingOptions::default();
            let case = Case::random(shape, 1, 3.0);
            let layer = Training::new(&gpu.context, &shape, options).unwrap();
            let actual = run::training(gpu, &layer, &case, &options, Layout::Shared);
            let batch = reference::statistics(&shape, &case.x).unwrap();
            let y = reference::normalize(
                &shape,
                &case.x,
                &batch,
                case.gamma(options.affine),
                case.beta(options.affine),
                1e-5,
            )
            .unwrap();
            let c =
                compare(&actual.y, &y, |i| if dtype == Dtype::F16 { y[i].abs() * 1e-3 + 1e-6 } else { 1e-5 });
            assert!(c.passed(), "{}: {c}", layer.plan());
        }
    }
}
