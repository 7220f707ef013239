//! Plans of every operation in every variant, over shapes and devices that lead to every tuning.

use wgpu_batchnorm::{
    Affine, BackwardOptions, Caps, Dtype, Error, Gathered, Gradients, InferenceOptions, Plan,
    RunningStatistics, Shape, Strategy, TrainingOptions,
};

/// Every subset of the gradients.
fn gradients() -> impl Iterator<Item = Gradients> {
    (0..8).map(|bits| Gradients { dx: bits & 1 != 0, dgamma: bits & 2 != 0, dbeta: bits & 4 != 0 })
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
        for strategy in Strategy::ALL {
            for running in [None, Some(RunningStatistics::default())] {
                let options = TrainingOptions { affine, running, ..Default::default() };
                plans.push(Plan::training_by(strategy, shape, &options, caps));
            }
            for gradients in gradients().filter(|g| g.dx || g.dgamma || g.dbeta) {
                let options = BackwardOptions { affine, gradients };
                plans.push(Plan::backward_by(strategy, shape, &options, caps));
            }
        }
    }
    plans.push(Plan::batch_moments(shape, caps));
    plans.push(Plan::batch_gradient_sums(shape, caps));
    let served = |plan: Result<Plan, Error>| match plan {
        Err(Error::Strategy { .. }) => None,
        plan => Some(plan.unwrap_or_else(|error| panic!("{shape}: {error}"))),
    };
    plans.into_iter().filter_map(served).collect()
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
