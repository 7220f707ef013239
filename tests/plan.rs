//! Plans: complete, within the limits of the device, each value taken once, and the ones that are picked for known
//! layers.

#[path = "plans/holds.rs"]
mod holds;
mod plans;
#[path = "plans/taken.rs"]
mod taken;

use std::collections::BTreeSet;

use holds::holds;
use proptest::prelude::*;
use taken::Taken;
use wgpu_batchnorm::{
    Activation, Affine, BackwardOptions, Caps, Dtype, Error, FoldOptions, Gathered, Gradients,
    InferenceOptions, Layer, MAX_SETS, Momentum, Plan, Residual, RunningStatistics, RunningTarget, Shape,
    TrainingOptions, Update,
};

#[test]
fn every_variant() {
    for caps in plans::devices() {
        for shape in plans::shapes() {
            plans::of_shape(&shape, &caps).iter().for_each(|plan| holds(plan, Some(shape.dtype()), &caps));
        }
        plans::of_merges(&caps).iter().for_each(|plan| holds(plan, None, &caps));
    }
}

/// Dimensions of `[outer, channels, inner]`, small ones as often as large ones, of about 2^32 values at most.
fn dims() -> impl Strategy<Value = [usize; 3]> {
    (0u32..=32, 0u32..=32, 0u32..=32).prop_flat_map(|(all, first, second)| {
        let outer = all * first / 32;
        let channels = (all - outer) * second / 32;
        let size = |bits: u32| (1usize << bits) / 2..=1usize << bits;
        (size(outer), size(channels), size(all - outer - channels)).prop_map(|(a, b, c)| [a, b, c])
    })
}

fn device() -> impl Strategy<Value = Caps> {
    (1u32..=1024, 1u32..=16, 0u32..=8, 20u32..=40).prop_map(|(invocations, grid, alignment, binding)| Caps {
        max_invocations: invocations,
        max_workgroups: (1 << grid) - 1,
        offset_alignment: 1 << alignment,
        max_binding_size: 1 << binding,
        ..Caps::WEBGPU
    })
}

/// The device after it was given what errors say it needs, one after the other: a plan is possible then.
fn granted(mut caps: Caps, plan: impl Fn(&Caps) -> Result<Plan, Error>) -> Caps {
    // Each limit is asked for by some buffer or launch; no plan has more than ten of them.
    for _ in 0..10 {
        let Err(Error::Limit { limit, needs, .. }) = plan(&caps) else { return caps };
        let narrow = u32::try_from(needs);
        match limit {
            "max_compute_invocations_per_workgroup" => caps.max_invocations = narrow.expect("a size"),
            "max_compute_workgroups_per_dimension" => caps.max_workgroups = narrow.expect("a size"),
            "max_storage_buffer_binding_size" => caps.max_binding_size = needs,
            limit => panic!("{limit}"),
        }
    }
    panic!("{caps:?} never suffices: {:?}", plan(&caps))
}

/// All that a description can say: which of it is in the bits.
fn layer(bits: u32) -> (Layer, Gradients) {
    let bit = |index: u32| bits >> index & 1 == 1;
    let running = RunningStatistics {
        momentum: if bit(0) { Momentum::Cumulative } else { Momentum::default() },
        update: [Update::Always, Update::IfChannelFinite, Update::IfLayerFinite][(bits >> 1) as usize % 3],
        target: if bit(3) { RunningTarget::Fresh } else { RunningTarget::InPlace },
        ..Default::default()
    };
    let layer = Layer {
        affine: Affine::ALL[(bits >> 4) as usize % 4],
        residual: if bit(6) { Residual::Added } else { Residual::None },
        activation: Activation::EACH[(bits >> 7) as usize % 8],
        running: bit(10).then_some(running),
        ..Layer::default()
    };
    let gradients =
        Gradients { dx: bit(11), dgamma: bit(12), dbeta: bit(13) || !bit(11), dresidual: bit(14) && bit(6) };
    (layer, gradients)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    /// Of any layer of any shape on any device: the same.
    #[test]
    fn any_layer_on_any_device(dims in dims(), f16 in any::<bool>(), bits in 0u32..1 << 15, caps in device()) {
        let dtype = if f16 { Dtype::F16 } else { Dtype::F32 };
        let Ok(shape) = Shape::new(&dims, 1, dtype) else { return Ok(()) };
        let (layer, gradients) = layer(bits);
        let fold = FoldOptions { affine: layer.affine, bias: dtype, ..FoldOptions::default() };
        let make = || [
            Plan::training(&shape, &layer.training(), &caps),
            Plan::inference(&shape, &layer.inference(), &caps),
            Plan::backward(&shape, &layer.backward(gradients), &caps),
            Plan::frozen_backward(&shape, &layer.frozen_backward(gradients), &caps),
            Plan::running_update(&shape, layer.running.unwrap_or_default(), &caps),
            Plan::fold(&shape, &fold, &caps),
        ];
        let plans = make();
        prop_assert_eq!(&plans, &make());
        for plan in plans {
            match plan {
                Ok(plan) => holds(&plan, Some(dtype), &caps),
                Err(Error::TooFewValues { got: 1, .. }) => prop_assert_eq!(shape.values_per_channel(), 1),
                Err(Error::Limit { got, needs, .. }) => prop_assert!(needs > got),
                Err(Error::TooManyValues { got, .. }) => prop_assert!(f16 && got > i32::MAX as u64),
                Err(Error::Running { .. }) => {
                    let widest = 1 << caps.max_invocations.min(256).ilog2();
                    prop_assert!(shape.channels().div_ceil(widest) > 4096);
                }
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
            }
        }
    }

    /// Of any shape on any device: a plan that holds, the same each time, or a limit of the device that is too low.
    #[test]
    fn any_shape_on_any_device(
        dims in dims(),
        f16 in any::<bool>(),
        caps in device(),
    ) {
        let dtype = if f16 { Dtype::F16 } else { Dtype::F32 };
        let shape = match Shape::new(&dims, 1, dtype) {
            Ok(shape) => shape,
            Err(error) => {
                let is_input = matches!(error, Error::NoChannels | Error::TooManyValues { .. });
                prop_assert!(is_input, "{error}");
                return Ok(());
            }
        };
        let make = || [
            Plan::training(&shape, &TrainingOptions::default(), &caps),
            Plan::inference(&shape, &InferenceOptions::default(), &caps),
            Plan::backward(&shape, &BackwardOptions::default(), &caps),
            Plan::batch_moments(&shape, &caps),
            Plan::batch_gradient_sums(&shape, &caps),
            Plan::normalize(&shape, Affine::Gamma, &caps),
            Plan::input_gradient(&shape, Affine::Gamma, &caps),
        ];
        let plans = make();
        prop_assert_eq!(&plans, &make());
        for plan in plans {
            match plan {
                Ok(plan) => holds(&plan, Some(dtype), &caps),
                Err(Error::TooFewValues { got: 1, .. }) => prop_assert_eq!(shape.values_per_channel(), 1),
                Err(Error::Limit { got, needs, .. }) => prop_assert!(needs > got),
                Err(Error::TooManyValues { got, .. }) => prop_assert!(f16 && got > i32::MAX as u64),
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    /// What an error says that a device needs is more than it has, and enough.
    #[test]
    fn what_is_asked_for_suffices(dims in dims(), sets in 1..=MAX_SETS, channels in 1u32..=1 << 20, caps in device()) {
        let gathered = Gathered { sets, channels };
        let merge = |caps: &Caps| Plan::merge_moments(gathered, 1e-5, None, caps);
        let enough = granted(caps.clone(), merge);
        holds(&merge(&enough).expect("a merge"), None, &enough);
        let Ok(shape) = Shape::new(&dims, 1, Dtype::F32) else { return Ok(()) };
        let backward = |caps: &Caps| Plan::backward(&shape, &BackwardOptions::default(), caps);
        let enough = granted(caps, backward);
        match backward(&enough) {
            Ok(plan) => holds(&plan, Some(Dtype::F32), &enough),
            Err(error) => prop_assert!(matches!(error, Error::TooFewValues { .. }), "{error}"),
        }
    }

    /// Of any gathered records on any device: a plan that holds, the same each time, or a limit that is too low.
    #[test]
    fn any_merge_on_any_device(sets in 1..=MAX_SETS, channels in 1u32..=1 << 20, caps in device()) {
        let gathered = Gathered { sets, channels };
        let make = || [
            Plan::merge_moments(gathered, 1e-5, None, &caps),
            Plan::merge_gradient_sums(gathered, Gradients::default(), &caps),
        ];
        let plans = make();
        prop_assert_eq!(&plans, &make());
        for plan in plans {
            match plan {
                Ok(plan) => holds(&plan, None, &caps),
                Err(Error::Limit { got, needs, .. }) => prop_assert!(needs > got),
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
            }
        }
    }
}

/// The largest tensors, on a device with room for them and workgroups of any size: loops stay short, or the device is
/// refused.
#[test]
fn the_largest_tensors() {
    let most = i32::MAX as usize;
    let shapes = [
        [most, 1, 1],
        [1, 1, most],
        [1, most / 2, 2],
        [2, most / 2, 1],
        [46340, 1, 46340],
        [1 << 20, 2047, 1],
    ];
    for (dims, dtype) in shapes.iter().flat_map(|dims| Dtype::ALL.map(|dtype| (dims, dtype))) {
        let shape = Shape::new(dims, 1, dtype).expect("a shape");
        for log in 0..=8 {
            let caps = Caps { max_invocations: 1 << log, max_binding_size: 1 << 40, ..Caps::WEBGPU };
            for plan in [
                Plan::training(&shape, &TrainingOptions::default(), &caps),
                Plan::inference(&shape, &InferenceOptions::default(), &caps),
                Plan::backward(&shape, &BackwardOptions::default(), &caps),
            ] {
                match plan {
                    Ok(plan) => holds(&plan, Some(dtype), &caps),
                    // WebGPU's own width is enough for any.
                    Err(error @ Error::Limit { .. }) => assert!(log < 8, "{shape}: {error}"),
                    Err(error) => panic!("{shape}: {error}"),
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 200, ..ProptestConfig::default() })]

    /// Reductions and walks take each value of the tensor once and know its channel, merges take each record once, and
    /// each result is written once.
    #[test]
    fn each_value_is_taken_once(
        dims in (1usize..40, 1usize..80, prop_oneof![Just(1usize), 2usize..100]),
        f16 in any::<bool>(),
        log in 0u32..=8,
        max_workgroups in 60u32..300,
        // Some tensors fit one binding, others come in slices.
        binding in 9u32..=20,
    ) {
        let dtype = if f16 { Dtype::F16 } else { Dtype::F32 };
        let shape = Shape::new(&[dims.0, dims.1, dims.2], 1, dtype).expect("a shape");
        let max_binding_size = 1 << binding;
        let caps = Caps { max_invocations: 1 << log, max_workgroups, max_binding_size, ..Caps::WEBGPU };
        let mut plans = vec![
            Plan::inference(&shape, &InferenceOptions::default(), &caps),
            Plan::batch_moments(&shape, &caps),
        ];
        for strategy in wgpu_batchnorm::Strategy::ALL {
            plans.push(Plan::training_by(strategy, &shape, &TrainingOptions::default(), &caps));
            plans.push(Plan::backward_by(strategy, &shape, &BackwardOptions::default(), &caps));
        }
        for plan in plans {
            let plan = match plan {
                Err(Error::TooFewValues { .. } | Error::Limit { .. } | Error::Strategy { .. }) => continue,
                plan => plan.expect("a plan"),
            };
            let names: BTreeSet<&str> = plan.launches().iter().map(|launch| launch.kernel.name()).collect();
            for name in names {
                let launches: Vec<_> =
                    plan.launches().iter().filter(|launch| launch.kernel.name() == name).collect();
                let Taken { values, read, written } = Taken::by(&launches, &shape);
                let is_merge = name.ends_with("_merge");
                prop_assert!(values.iter().all(|&times| times == u32::from(!is_merge)), "{plan}");
                prop_assert!(read.iter().chain(&written).all(|&times| times == 1), "{plan}");
            }
        }
    }
}

/// A plan knows the view of a tensor, not its rank nor its layout.
#[test]
fn nothing_but_the_view_matters() {
    let plan = |dims: &[usize], axis| {
        let shape = Shape::new(dims, axis, Dtype::F32).expect("a shape");
        let training = Plan::training(&shape, &TrainingOptions::default(), &Caps::WEBGPU).expect("a plan");
        (training, Plan::backward(&shape, &BackwardOptions::default(), &Caps::WEBGPU).expect("a plan"))
    };
    let nchw = plan(&[8, 24, 14, 14], 1);
    for (dims, axis) in
        [(&[8, 24, 196][..], 1), (&[8, 24, 2, 7, 14], 1), (&[2, 4, 24, 196], 2), (&[8, 24, 14, 14, 1], 1)]
    {
        assert_eq!(plan(dims, axis), nchw);
    }
    assert_ne!(plan(&[8, 14, 14, 24], 3), nchw);
}

/// To fresh buffers the running statistics go with the launch that saves the batch's, where it can bind two more.
#[test]
fn fresh_running_statistics_join_where_they_fit() {
    let shape = Shape::new(&[32, 64, 784], 1, Dtype::F32).expect("a shape");
    let running = RunningStatistics { target: RunningTarget::Fresh, ..Default::default() };
    let layer = Layer { running: Some(running), ..Layer::default() };
    let launches = |max_storage_buffers| {
        let caps = Caps { max_storage_buffers, ..Caps::WEBGPU };
        let plan = Plan::training_by(wgpu_batchnorm::Strategy::Fused, &shape, &layer.training(), &caps)
            .expect("a plan");
        holds(&plan, Some(Dtype::F32), &caps);
        plan.launches().iter().map(|launch| launch.kernel.name()).collect::<Vec<_>>()
    };
    // x, y, saved, gamma, beta, the old ones and the new ones.
    assert_eq!(launches(9), ["train_fused"]);
    assert_eq!(launches(8), ["train_fused", "running_update"]);
}
