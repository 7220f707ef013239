//! What the layer launches, and that nothing else is: in a process of its own, so that nobody else launches meanwhile.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Device, DeviceKind, Distribution, Tensor};
use cubecl::logging::{LaunchObservation, LaunchObserver};
use wgpu_batchnorm_burn::{BatchNorm, BatchNormConfig, Update};

#[derive(Default)]
struct Log(Mutex<Vec<&'static str>>);

impl LaunchObserver for Log {
    fn launched(&self, kernel: &'static str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(kernel);
    }
}

fn launches(device: &Device, work: impl FnOnce()) -> Vec<&'static str> {
    device.sync().expect("the device works");
    let log = Arc::new(Log::default());
    let observation = LaunchObservation::new(log.clone());
    work();
    // With fusion what nobody reads is not yet launched.
    device.sync().expect("the device works");
    drop(observation);
    std::mem::take(&mut *log.0.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Forward in training, and backward: there the gradient by y is made and the loss is summed, which is Burn's.
fn step(device: &Device, layer: &BatchNorm, x: &Tensor<4>) -> [Vec<&'static str>; 2] {
    let x = x.clone().detach().require_grad();
    let mut y = None;
    let forward = launches(device, || y = Some(layer.forward(x.clone())));
    let loss = y.expect("forward has run").sum();
    let mut gradient = None;
    let mut backward = launches(device, || gradient = x.grad(&loss.backward()));
    assert!(gradient.is_some());
    backward.retain(|kernel| kernel.starts_with("grad_") || kernel.starts_with("frozen_"));
    [forward, backward]
}

#[test]
fn a_layer_launches_what_its_plan_says() {
    let device = Device::wgpu(DeviceKind::DefaultDevice).autodiff();
    let layer = BatchNormConfig::new(8).init(&device);
    let x = Tensor::<4>::random([16, 8, 6, 6], Distribution::Default, &device);
    step(&device, &layer, &x);

    // The running statistics are updated by the same launch.
    let [forward, backward] = step(&device, &layer, &x);
    assert!(forward == ["train_fused"] || forward == ["train_resident"], "{forward:?}");
    assert!(backward == ["grad_fused"] || backward == ["grad_resident"], "{backward:?}");

    // Unless batches may be refused.
    let careful = layer.clone().with_update(Update::IfLayerFinite);
    let [forward, _] = step(&device, &careful, &x);
    assert_eq!(forward.len(), 2, "{forward:?}");
    assert_eq!(forward[1], "running_update");

    // Channels last, as behind a convolution, is taken as it lies: no copies.
    let channels_last =
        Tensor::<4>::random([16, 12, 12, 8], Distribution::Default, &device).permute([0, 3, 1, 2]);
    step(&device, &layer, &channels_last);
    let [forward, backward] = step(&device, &layer, &channels_last);
    assert!(forward.iter().all(|kernel| kernel.starts_with("train_")) && forward.len() <= 3, "{forward:?}");
    assert!(backward.len() <= 3, "{backward:?}");

    // Rows that are no whole vectors go word by word.
    let layer = BatchNormConfig::new(3).init(&device);
    let odd = Tensor::<4>::random([4, 3, 5, 5], Distribution::Default, &device);
    step(&device, &layer, &odd);
    let [forward, backward] = step(&device, &layer, &odd);
    assert_eq!(forward, ["train_moments", "train_merge", "train_apply"]);
    assert_eq!(backward, ["grad_sums", "grad_merge", "grad_apply"]);

    // Inference is one launch.
    let inner = device.clone().inner();
    let layer = burn::module::Module::valid(&layer);
    let odd = odd.inner();
    assert_eq!(launches(&inner, || drop(layer.forward(odd))), ["infer_apply"]);
}
