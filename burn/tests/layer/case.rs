//! Inputs, devices, and one training step of a layer as numbers.

use burn::module::Param;
use burn::tensor::{Device, DeviceKind, Tensor, TensorData};
use wgpu_batchnorm_burn::{BatchNorm, BatchNormConfig};

/// The device that all tests share, under autodiff. Without an adapter Burn panics, and the test fails.
pub fn training_device() -> Device {
    device().autodiff()
}

pub fn device() -> Device {
    Device::wgpu(DeviceKind::DefaultDevice)
}

/// Evenly spread values of a standard deviation of about 1, the same for the same seed.
pub fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..len).map(|_| (next() + next() + next() + next() - 2.0) * 1.7).collect()
}

pub fn tensor<const D: usize>(values: &[f32], dims: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), dims), device)
}

pub fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_to_vec().expect("numbers are f64 now")
}

/// Gamma and beta that are not 1 and 0.
pub fn affine(channels: usize) -> [Vec<f32>; 2] {
    let gamma = values(11, channels).iter().map(|value| 1.0 + 0.5 * value).collect();
    [gamma, values(12, channels)]
}

/// A layer with them, in both forms.
pub fn layers(channels: usize, device: &Device) -> (BatchNorm, burn::nn::BatchNorm) {
    let [gamma, beta] = affine(channels);
    let mut ours = BatchNormConfig::new(channels).init(device);
    let mut burns = burn::nn::BatchNormConfig::new(channels).init(device);
    let parameter = |values: &[f32]| Param::from_tensor(tensor(values, [channels], device));
    (ours.gamma, ours.beta) = (parameter(&gamma), parameter(&beta));
    (burns.gamma, burns.beta) = (parameter(&gamma), parameter(&beta));
    (ours, burns)
}

/// What a training step gives.
pub struct Step {
    pub y: Vec<f64>,
    pub dx: Vec<f64>,
    pub dgamma: Vec<f64>,
    pub dbeta: Vec<f64>,
    pub running_mean: Vec<f64>,
    pub running_var: Vec<f64>,
}

impl Step {
    /// Each by its name.
    pub fn all(&self) -> [(&'static str, &[f64]); 6] {
        [
            ("y", &self.y),
            ("dx", &self.dx),
            ("dgamma", &self.dgamma),
            ("dbeta", &self.dbeta),
            ("running_mean", &self.running_mean),
            ("running_var", &self.running_var),
        ]
    }
}

/// Forward, a loss whose gradient by y is `dy`, and backward: of two types with the same fields.
macro_rules! step {
    ($layer:expr, $x:expr, $dy:expr) => {{
        let (layer, x) = ($layer, $x.require_grad());
        let y = layer.forward(x.clone());
        let grads = (y.clone() * $dy).sum().backward();
        Step {
            y: numbers(y),
            dx: numbers(x.grad(&grads).expect("x asks for its gradient")),
            dgamma: numbers(layer.gamma.val().grad(&grads).expect("gamma does")),
            dbeta: numbers(layer.beta.val().grad(&grads).expect("beta does")),
            running_mean: numbers(layer.running_mean.value_sync()),
            running_var: numbers(layer.running_var.value_sync()),
        }
    }};
}

/// A step of ours.
pub fn ours<const D: usize>(layer: &BatchNorm, x: Tensor<D>, dy: Tensor<D>) -> Step {
    step!(layer, x, dy)
}

/// The same of Burn's.
pub fn burns<const D: usize>(layer: &burn::nn::BatchNorm, x: Tensor<D>, dy: Tensor<D>) -> Step {
    step!(layer, x, dy)
}

/// Panics where two differ by more than `bound`, relative to the largest.
#[track_caller]
pub fn assert_close(what: &str, actual: &[f64], expected: &[f64], bound: f64) {
    let largest = expected.iter().fold(1e-30, |largest: f64, value| largest.max(value.abs()));
    let comparison = wgpu_batchnorm::verify::compare(actual, expected, |_| bound * largest);
    assert!(comparison.passed(), "{what}: {comparison}");
}

#[track_caller]
pub fn assert_steps_agree(what: &str, ours: &Step, burns: &Step, bound: f64) {
    for ((name, ours), (_, burns)) in ours.all().into_iter().zip(burns.all()) {
        assert_close(&format!("{what}: {name}"), ours, burns, bound);
    }
}
