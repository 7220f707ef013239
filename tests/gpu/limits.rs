//! Plans for other devices, and devices that can do little.

use wgpu_batchnorm::{
    Backward, BackwardOptions, Caps, Dtype, Error, Inference, InferenceOptions, Momentum, Plan, Shape,
    Strategy, Training, TrainingOptions, wgpu,
};

use crate::Test;
use crate::support::arena::Layout;
use crate::support::case::Case;
use crate::support::check::{Data, hold};
use crate::support::gpu::Gpu;
use crate::support::run;

pub const TESTS: &[Test] = &[
    ("plans_of_others", plans_of_others),
    ("limits_of_the_device", limits_of_the_device),
    ("lesser_devices", lesser_devices),
    ("devices_without_what_every_kernel_needs", devices_without_what_every_kernel_needs),
    ("lost_device", lost_device),
];

fn shape() -> Shape {
    Shape::new(&[16, 3, 4], 1, Dtype::F32).expect("a shape")
}

/// [`Error::Plan`] for a plan of another operation; [`Error::Misaligned`] and [`Error::Limit`] for one of a device
/// that can do more.
fn plans_of_others(gpu: &Gpu) {
    let caps = gpu.context.caps();
    let training = || Plan::training(&shape(), &TrainingOptions::default(), caps).expect("a plan");
    let inference = || Plan::inference(&shape(), &InferenceOptions::default(), caps).expect("a plan");
    for (error, got, needs) in [
        (Training::from_plan(&gpu.context, inference()).err(), "inference", "training"),
        (Inference::from_plan(&gpu.context, training()).err(), "training", "inference"),
        (Backward::from_plan(&gpu.context, training()).err(), "training", "backward"),
    ] {
        let error = error.expect("a plan of another operation");
        assert_eq!(error, Error::Plan { got, needs });
        assert_eq!(error.to_string(), format!("plan: is of {got}, needs to be of {needs}"));
    }

    let needs = u64::from(caps.offset_alignment);
    let packed = Caps { offset_alignment: 4, ..caps.clone() };
    let by = Strategy::General;
    let plan = Plan::backward_by(by, &shape(), &BackwardOptions::default(), &packed).expect("a plan");
    let error = Backward::from_plan(&gpu.context, plan).expect_err("an offset of 36");
    assert_eq!(error, Error::Misaligned { argument: "sums", got: 36, needs });

    let (most, limit) = (u64::from(caps.max_workgroups), "max_compute_workgroups_per_dimension");
    let wide = Caps { max_workgroups: u32::MAX, ..caps.clone() };
    let channels = caps.max_workgroups as usize + 1;
    let many = Shape::new(&[2, channels, 2], 1, Dtype::F32).expect("a shape");
    let plan = Plan::training_by(by, &many, &TrainingOptions::default(), &wide).expect("a plan");
    let error = Training::from_plan(&gpu.context, plan).expect_err("a wide grid");
    assert_eq!(error, Error::Limit { argument: "train_moments", limit, got: most, needs: most + 1 });
    let message = format!("train_moments: needs {limit} of at least {}, the device has {most}", most + 1);
    assert_eq!(error.to_string(), message);

    // Made for a device with subgroups, given to one without.
    let plain = gpu.limited(|_| {});
    let able = Caps { subgroups: true, ..plain.context.caps().clone() };
    let by = Strategy::Fused;
    let plan = Plan::training_by(by, &shape(), &TrainingOptions::default(), &able).expect("a plan");
    let error = Training::from_plan(&plain.context, plan).expect_err("no subgroups");
    assert_eq!(error, Error::Feature { argument: "train_fused", needs: "SUBGROUP" });
    assert_eq!(error.to_string(), "train_fused: needs the feature SUBGROUP, the device is without");
}

/// [`Error::Limit`] where the statistics of the channels do not fit one binding, before any memory is asked for.
fn limits_of_the_device(gpu: &Gpu) {
    let got = gpu.context.caps().max_binding_size;
    let (limit, channels) = ("max_storage_buffer_binding_size", got / 16 + 1);
    let many = Shape::new(&[2, channels as usize], 1, Dtype::F32).expect("a shape");
    let context = &gpu.context;
    let error = Training::new(context, &many, TrainingOptions::default()).expect_err("many channels");
    assert!(
        matches!(error, Error::Limit { limit: found, got: has, .. } if (found, has) == (limit, got)),
        "{error}"
    );
    let error = Backward::new(context, &many, BackwardOptions::default()).expect_err("many channels");
    assert!(
        matches!(error, Error::Limit { limit: found, got: has, .. } if (found, has) == (limit, got)),
        "{error}"
    );
}

/// Devices with limits far below WebGPU's: what they can do they do within the usual bounds, what they cannot is
/// [`Error::Limit`] when the operation is made.
fn lesser_devices(gpu: &Gpu) {
    let small = gpu.limited(|limits| {
        limits.max_compute_invocations_per_workgroup = 64;
        limits.max_compute_workgroup_size_x = 64;
        limits.max_compute_workgroups_per_dimension = 24;
        limits.max_compute_workgroup_storage_size = 1024;
        limits.max_storage_buffer_binding_size = 1 << 18;
        limits.max_storage_buffers_per_shader_stage = 6;
    });
    assert_eq!(small.context.caps().max_invocations, 64, "the device has more than was asked for");
    for dtype in Dtype::ALL {
        for dims in [[16, 3, 49], [100, 40, 1], [1, 300, 40]] {
            let shape = Shape::new(&dims, 1, dtype).expect("a shape");
            let case = Case::random(shape, 91, 3.0);
            let options = TrainingOptions::default();
            hold(shape, run::step(&small, &case, &options, Data::Plain, Layout::Separate).map(drop));
        }
    }
    // 256 invocations planned for, 64 there.
    let caps = gpu.context.caps().clone();
    let long = Shape::new(&[2, 3, 4000], 1, Dtype::F32).expect("a shape");
    let by = Strategy::General;
    let plan = Plan::training_by(by, &long, &TrainingOptions::default(), &caps).expect("a plan");
    let error = Training::from_plan(&small.context, plan).expect_err("a wide workgroup");
    let limit = "max_compute_invocations_per_workgroup";
    assert_eq!(error, Error::Limit { argument: "train_moments", limit, got: 64, needs: 256 });
    // More workgroups than 24 * 24, and a binding above 256 KiB.
    let many = Shape::new(&[2, 2000, 2], 1, Dtype::F32).expect("a shape");
    let error = Training::new(&small.context, &many, TrainingOptions::default()).expect_err("a large grid");
    let limit = "max_compute_workgroups_per_dimension";
    assert_eq!(error, Error::Limit { argument: "kernel", limit, got: 24, needs: 45 });
    // A binding above 256 KiB comes in slices.
    let large = Shape::new(&[1, 1, (1 << 16) + 1], 1, Dtype::F32).expect("a shape");
    let case = Case::random(large, 92, 3.0);
    let options = TrainingOptions::default();
    hold(large, run::step(&small, &case, &options, Data::Plain, Layout::Separate).map(drop));

    // train_merge binds four buffers, train_apply five.
    let few = gpu.limited(|limits| limits.max_storage_buffers_per_shader_stage = 4);
    let error = Training::new(&few.context, &shape(), TrainingOptions::default()).expect_err("few buffers");
    let limit = "max_storage_buffers_per_shader_stage";
    assert_eq!(error, Error::Limit { argument: "train_apply", limit, got: 4, needs: 5 });
    let scarce = gpu.limited(|limits| limits.max_compute_workgroup_storage_size = 512);
    let plan = Plan::training_by(by, &shape(), &TrainingOptions::default(), scarce.context.caps());
    let error = Training::from_plan(&scarce.context, plan.expect("a plan")).expect_err("scratch");
    let limit = "max_compute_workgroup_storage_size";
    assert_eq!(error, Error::Limit { argument: "train_moments", limit, got: 512, needs: 1024 });
}

/// [`Error::Limit`] when the operation is made, not an invalid call later.
fn devices_without_what_every_kernel_needs(gpu: &Gpu) {
    type Lower = fn(&mut wgpu::Limits);
    let lower: [(&str, Lower, u64, u64); 6] = [
        ("max_bindings_per_bind_group", |limits| limits.max_bindings_per_bind_group = 3, 3, 9),
        ("max_bind_groups", |limits| limits.max_bind_groups = 0, 0, 1),
        (
            "max_uniform_buffers_per_shader_stage",
            |limits| limits.max_uniform_buffers_per_shader_stage = 0,
            0,
            1,
        ),
        ("max_uniform_buffer_binding_size", |limits| limits.max_uniform_buffer_binding_size = 32, 32, 112),
        ("max_compute_workgroup_size_y", |limits| limits.max_compute_workgroup_size_y = 0, 0, 1),
        ("max_compute_workgroup_size_z", |limits| limits.max_compute_workgroup_size_z = 0, 0, 1),
    ];
    for (limit, lower, got, needs) in lower {
        let small = gpu.limited(lower);
        let plan =
            Plan::training_by(Strategy::General, &shape(), &TrainingOptions::default(), small.context.caps());
        let error = Training::from_plan(&small.context, plan.expect("a plan")).expect_err(limit);
        assert_eq!(error, Error::Limit { argument: "train_moments", limit, got, needs });
        assert!(Training::new(&small.context, &shape(), TrainingOptions::default()).is_err());
    }
}

/// Making and changing operations on a device that is gone is no panic: it is wgpu that reports the loss.
fn lost_device(gpu: &Gpu) {
    let lost = gpu.limited(|_| {});
    let mut layer = Training::new(&lost.context, &shape(), TrainingOptions::default()).expect("training");
    lost.device.on_uncaptured_error(std::sync::Arc::new(|_| {}));
    lost.device.destroy();
    assert_eq!(layer.set_momentum(Momentum::OfNew(0.5)), Ok(()));
    assert!(Inference::new(&lost.context, &shape(), InferenceOptions::default()).is_ok());
}
