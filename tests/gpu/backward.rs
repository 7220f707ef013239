//! Training backward against the reference.

use wgpu_batchnorm::{Affine, Backward, BackwardOptions, Dtype, Gradients, Plan, Shape, Strategy};

use crate::Test;
use crate::support::arena::Layout;
use crate::support::case::Case;
use crate::support::check::{self, Data, hold};
use crate::support::gpu::Gpu;
use crate::support::{grid, run};

pub const TESTS: &[Test] = &[
    ("grid_f32", grid_f32),
    ("grid_f16", grid_f16),
    ("subsets", subsets),
    ("policy_picks_a_strategy", policy_picks_a_strategy),
];

const EPS: f32 = 1e-5;

/// The seven sets of gradients that can be asked for.
fn sets() -> impl Iterator<Item = Gradients> {
    (1..8).map(|bits| Gradients {
        dx: bits & 1 != 0,
        dgamma: bits & 2 != 0,
        dbeta: bits & 4 != 0,
        dresidual: false,
    })
}

/// dx within 2e-6 |gamma invstd| (1 + 1.5 max|dy|), dgamma and dbeta within 2e-5 of their largest, for every shape
/// of the grid: the bounds that the crate promises. The saved statistics are the reference's, each rounded once, so
/// that nothing of the forward pass is in what is measured.
fn grid_f32(gpu: &Gpu) {
    for (index, shape) in grid::shapes(Dtype::F32).into_iter().enumerate() {
        let options = BackwardOptions { affine: Affine::ALL[index / 2 % 4], ..Default::default() };
        let case = Case::random(shape, index as u64, 3.0);
        for layer in run::backwards(gpu, &shape, &options) {
            let saved = case.saved(EPS);
            let actual = run::backward(gpu, &layer, &case, &saved, &options, Layout::ALL[index % 2]);
            hold(layer.plan(), check::backward(&case, &options, EPS, Data::Plain, &actual));
        }
    }
}

/// The same for f16. The general strategy takes values one by one whatever their type: its dx is bit by bit what the
/// same values in f32 give, rounded once, and the gradients of the parameters are the same.
fn grid_f16(gpu: &Gpu) {
    for (index, shape) in grid::shapes(Dtype::F16).into_iter().enumerate() {
        let options = BackwardOptions { affine: Affine::ALL[index / 2 % 4], ..Default::default() };
        let case = Case::random(shape, index as u64, 3.0);
        let (wide, saved, layout) = (case.widened(), case.saved(EPS), Layout::ALL[index % 2]);
        for layer in run::backwards(gpu, &shape, &options) {
            let actual = run::backward(gpu, &layer, &case, &saved, &options, layout);
            hold(layer.plan(), check::backward(&case, &options, EPS, Data::Plain, &actual));
            if layer.plan().strategy() == Some(Strategy::General) {
                let plan = Plan::backward_by(Strategy::General, &wide.shape, &options, gpu.context.caps());
                let wide_layer = Backward::from_plan(&gpu.context, plan.expect("a plan")).expect("a layer");
                let wide = run::backward(gpu, &wide_layer, &wide, &saved, &options, layout);
                hold(layer.plan(), check::rounded_once("dx", &actual.dx, &wide.dx));
                hold(layer.plan(), check::within("dgamma", &actual.dgamma, &wide.dgamma, |_| 0.0));
                hold(layer.plan(), check::within("dbeta", &actual.dbeta, &wide.dbeta, |_| 0.0));
            }
        }
    }
}

/// Every set of gradients with every affine variant, in separate buffers and in one: what is not asked for is not
/// written, and what is has the bits that it has when all are asked for.
fn subsets(gpu: &Gpu) {
    for dtype in Dtype::ALL {
        for dims in [&[5, 6, 7][..], &[40, 5], &[2, 3], &[5, 8, 7], &[40, 16], &[3, 2, 8]] {
            let shape = Shape::new(dims, 1, dtype).expect("a shape");
            let case = Case::random(shape, 13, 2.0);
            let saved = case.saved(EPS);
            for affine in Affine::ALL {
                for layout in Layout::ALL {
                    let all = BackwardOptions { affine, ..Default::default() };
                    for whole in run::backwards(gpu, &shape, &all) {
                        let strategy = whole.plan().strategy().expect("a strategy");
                        let whole = run::backward(gpu, &whole, &case, &saved, &all, layout);
                        for gradients in sets() {
                            let options = BackwardOptions { affine, gradients, ..Default::default() };
                            let plan = Plan::backward_by(strategy, &shape, &options, gpu.context.caps());
                            let Some(plan) = run::served(plan) else { continue };
                            let layer = Backward::from_plan(&gpu.context, plan).expect("a layer");
                            let actual = run::backward(gpu, &layer, &case, &saved, &options, layout);
                            let place = format!("{} {options:?} {layout:?}", layer.plan());
                            hold(&place, check::backward(&case, &options, EPS, Data::Plain, &actual));
                            for (name, wanted, actual, whole) in [
                                ("dx", gradients.dx, &actual.dx, &whole.dx),
                                ("dgamma", gradients.dgamma, &actual.dgamma, &whole.dgamma),
                                ("dbeta", gradients.dbeta, &actual.dbeta, &whole.dbeta),
                            ] {
                                assert!(!wanted || actual == whole, "{place}: {name} depends on the others");
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What the policy picks is one of the strategies that the grid has walked.
fn policy_picks_a_strategy(gpu: &Gpu) {
    for shape in grid::shapes(Dtype::F16) {
        let options = BackwardOptions::default();
        let picked = Backward::new(&gpu.context, &shape, options).expect("a layer");
        assert!(
            run::backwards(gpu, &shape, &options)
                .iter()
                .any(|layer| layer.plan().launches() == picked.plan().launches())
        );
    }
}
