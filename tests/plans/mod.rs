//! Plans of every operation in every variant, over shapes and devices that lead to every tuning.

use wgpu_batchnorm::{
    Activation, Affine, Caps, Dtype, Error, FoldOptions, Gathered, Gradients, InferenceOptions, Layer,
    Momentum, Plan, Residual, RunningStatistics, RunningTarget, Shape, Strategy, Update,
};

/// Every subset of the gradients.
fn gradients() -> impl Iterator<Item = Gradients> {
    (0..16).map(|bits| Gradients {
        dx: bits & 1 != 0,
        dgamma: bits & 2 != 0,
        dbeta: bits & 4 != 0,
        dresidual: bits & 8 != 0,
    })
}

/// Every subset of the gradients that a layer without a residual has, and a backward pass takes.
fn some_gradients() -> impl Iterator<Item = Gradients> {
    gradients().filter(|gradients| *gradients != Gradients::NONE && !gradients.dresidual)
}

/// Every way of following the batches.
fn followings() -> impl Iterator<Item = RunningStatistics> {
    let momenta = [Momentum::OfNew(0.1), Momentum::Cumulative];
    momenta.into_iter().flat_map(|momentum| {
        [Update::Always, Update::IfChannelFinite, Update::IfLayerFinite].into_iter().flat_map(move |update| {
            [RunningTarget::InPlace, RunningTarget::Fresh].map(|target| RunningStatistics {
                momentum,
                update,
                target,
                ..Default::default()
            })
        })
    })
}

/// WebGPU's default device, a wide one, and two that can do little.
pub fn devices() -> [Caps; 5] {
    let webgpu = Caps::WEBGPU;
    [
        webgpu.clone(),
        Caps { max_invocations: 1024, max_workgroups: u32::MAX, max_binding_size: 1 << 34, ..webgpu.clone() },
        Caps { max_invocations: 64, max_workgroups: 300, ..webgpu.clone() },
        Caps {
            max_invocations: 1024,
            max_workgroup_storage: 32_768,
            subgroups: true,
            cpu: true,
            ..webgpu.clone()
        },
        Caps { max_invocations: 8, ..webgpu },
    ]
}

/// One of each way to lay a tensor out and to share it out: contiguous channels, few and many; runs of one channel,
/// short and long; few values and many.
pub fn shapes() -> Vec<Shape> {
    let dims = [
        [32, 64, 784],
        [2, 1, 1],
        [256, 3, 1],
        [64, 2048, 1],
        [5, 17, 2],
        [3, 130, 221],
        [1, 2, 1 << 20],
        [1 << 18, 2, 1],
        [0, 4, 9],
        // Blocks: of one channel, of several, of a partly filled row; many values and few.
        [32, 128, 196],
        [7, 16, 49],
        [1, 8, 1 << 18],
        [4, 24, 1156],
        [300, 88, 1],
        [9, 1 << 12, 4],
    ];
    let shape = |dims: &[usize], dtype| Shape::new(dims, 1, dtype).expect("a shape");
    dims.iter().flat_map(|dims| Dtype::ALL.map(|dtype| shape(dims, dtype))).collect()
}

/// The plans of all operations on one shape for one device.
pub fn of_shape(shape: &Shape, caps: &Caps) -> Vec<Plan> {
    let mut plans = Vec::new();
    for affine in Affine::ALL {
        plans.push(Plan::inference(shape, &InferenceOptions { affine, ..Default::default() }, caps));
        plans.push(Plan::normalize(shape, affine, caps));
        plans.push(Plan::input_gradient(shape, affine, caps));
        let layer = Layer { affine, ..Layer::default() };
        for strategy in Strategy::ALL {
            let fresh = RunningStatistics { target: RunningTarget::Fresh, ..Default::default() };
            for running in [None, Some(RunningStatistics::default()), Some(fresh)] {
                let options = Layer { running, ..layer }.training();
                plans.push(Plan::training_by(strategy, shape, &options, caps));
            }
            for gradients in some_gradients() {
                plans.push(Plan::backward_by(strategy, shape, &layer.backward(gradients), caps));
            }
        }
        for gradients in some_gradients() {
            plans.push(Plan::frozen_backward(shape, &layer.frozen_backward(gradients), caps));
        }
    }
    for affine in [Affine::GammaBeta, Affine::None] {
        let options = FoldOptions { affine, ..FoldOptions::default() };
        plans.push(Plan::fold(shape, &options, caps));
        plans.push(Plan::fold(shape, &FoldOptions { bias: Dtype::F16, ..options }, caps));
    }
    plans.push(Plan::batch_moments(shape, caps));
    plans.push(Plan::batch_gradient_sums(shape, caps));
    for running in followings() {
        let layer = Layer { running: Some(running), ..Layer::default() };
        plans.push(Plan::training_by(Strategy::General, shape, &layer.training(), caps));
        plans.push(Plan::running_update(shape, running, caps));
    }
    // Blocks of one channel, of several, and none; word by word they are all alike.
    let few = [[32, 128, 196], [7, 16, 49], [5, 17, 2]];
    let few_devices = [&Caps::WEBGPU, &devices()[3]];
    if few.contains(&[shape.outer(), shape.channels(), shape.inner()]) && few_devices.contains(&caps) {
        plans.extend(with_tails(shape, caps));
    }
    let served = |plan: Result<Plan, Error>| match plan {
        Err(Error::Strategy { .. }) => None,
        plan => Some(plan.unwrap_or_else(|error| panic!("{shape}: {error}"))),
    };
    plans.into_iter().filter_map(served).collect()
}

/// The plans of layers with an activation or a residual: each option with and without, every activation once.
fn with_tails(shape: &Shape, caps: &Caps) -> Vec<Result<Plan, Error>> {
    let relu = Layer { activation: Activation::Relu, ..Layer::default() };
    let mut layers = vec![relu, Layer { affine: Affine::None, residual: Residual::Added, ..relu }];
    layers.extend(Activation::EACH.map(|activation| {
        // Without running statistics, so that the kernels differ in one thing.
        Layer { activation, residual: Residual::Added, running: None, ..Layer::default() }
    }));
    let mut plans = Vec::new();
    for layer in layers {
        plans.push(Plan::inference(shape, &layer.inference(), caps));
        let dresidual = layer.residual == Residual::Added;
        let all = Gradients { dresidual, ..Gradients::default() };
        let some = [all, Gradients { dx: false, ..all }, Gradients { dresidual: false, ..all }];
        let subsets = if layer.activation == Activation::Relu { &some[..] } else { &some[..1] };
        for strategy in Strategy::ALL {
            plans.push(Plan::training_by(strategy, shape, &layer.training(), caps));
            for &gradients in subsets {
                plans.push(Plan::backward_by(strategy, shape, &layer.backward(gradients), caps));
            }
        }
        for &gradients in subsets {
            plans.push(Plan::frozen_backward(shape, &layer.frozen_backward(gradients), caps));
        }
    }
    plans
}

/// The plans of the merges.
pub fn of_merges(caps: &Caps) -> Vec<Plan> {
    let mut plans = Vec::new();
    for sets in [1, 2, 5, 64, 1 << 16] {
        let gathered = Gathered { sets, channels: 70 };
        for running in [None, Some(RunningStatistics::default())] {
            plans.push(Plan::merge_moments(gathered, 1e-5, running, caps));
        }
        plans.extend(gradients().map(|gradients| Plan::merge_gradient_sums(gathered, gradients, caps)));
    }
    plans.into_iter().map(|plan| plan.expect("a merge")).collect()
}
