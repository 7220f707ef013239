//! A record of one layer is one of the other.

use burn::module::Module;
use burn::tensor::Tensor;
use wgpu_batchnorm_burn::{BatchNorm, BatchNormConfig};

use crate::case::{device, layers, numbers, tensor, training_device, values};

/// A model before and after the swap.
#[derive(Module, Debug)]
struct Before {
    norm: burn::nn::BatchNorm,
}

#[derive(Module, Debug)]
struct After {
    norm: BatchNorm,
}

fn state(parameters: [Tensor<1>; 4]) -> Vec<Vec<f64>> {
    parameters.map(numbers).to_vec()
}

macro_rules! state_of {
    ($layer:expr) => {{
        let layer = &$layer;
        state([
            layer.gamma.val(),
            layer.beta.val(),
            layer.running_mean.value_sync(),
            layer.running_var.value_sync(),
        ])
    }};
}

#[test]
fn a_file_of_one_loads_in_the_other() {
    let training = training_device();
    let (ours, burns) = layers(6, &training);
    let x: Tensor<4> = tensor(&values(1, 600), [4, 6, 5, 5], &training);
    ours.forward(x.clone());
    burns.forward(x);
    let (before, after) = (Before { norm: burns.valid() }, After { norm: ours.valid() });
    let (before_state, after_state) = (state_of!(before.norm), state_of!(after.norm));
    let folder = std::env::temp_dir().join(format!("wgpu-batchnorm-burn-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for temporary files");
    let (before_file, after_file) = (folder.join("before"), folder.join("after"));
    before.save_file(&before_file).expect("a file");
    after.save_file(&after_file).expect("a file");
    let fresh_before = Before { norm: burn::nn::BatchNormConfig::new(6).init(&device()) };
    let fresh_after = After { norm: BatchNormConfig::new(6).init(&device()) };
    assert_eq!(state_of!(fresh_after.load_file(&before_file).norm), before_state);
    assert_eq!(state_of!(fresh_before.load_file(&after_file).norm), after_state);
    std::fs::remove_dir_all(&folder).expect("the folder is there");
}

#[test]
fn there_and_back_again() {
    let device = training_device();
    let (_, burns) = layers(6, &device);
    burns.forward(tensor::<4>(&values(1, 600), [4, 6, 5, 5], &device));
    let expected = state_of!(burns);
    let ours = BatchNorm::from(burns);
    assert_eq!(state_of!(ours), expected);
    let burns = burn::nn::BatchNorm::from(ours);
    assert_eq!(state_of!(burns), expected);
}

/// What Burn's layer has left to its next call is not lost.
#[test]
fn a_pending_update_is_taken_over() {
    let device = training_device();
    let (_, burns) = layers(6, &device);
    let x: Tensor<4> = tensor(&values(1, 600), [4, 6, 5, 5], &device);
    burns.forward(x.clone());
    let twice = burns.clone();
    let ours = BatchNorm::from(burns);
    ours.forward(x);
    let mean = numbers(ours.running_mean.value_sync());
    drop(twice);
    let (expected, _) = layers(6, &device);
    for _ in 0..2 {
        expected.forward(tensor::<4>(&values(1, 600), [4, 6, 5, 5], &device));
    }
    crate::case::assert_close("running_mean", &mean, &numbers(expected.running_mean.value_sync()), 1e-5);
}

/// Nor is it found again later, on top of ours, where it was another thread that left it.
#[test]
fn a_pending_update_of_another_thread_is_taken_over_once() {
    let device = training_device();
    let (_, burns) = layers(1, &device);
    let layer = burns.clone();
    let thread_device = device.clone();
    let batch = |device: &burn::tensor::Device| tensor::<2>(&[1.0, 3.0], [2, 1], device);
    std::thread::spawn(move || drop(layer.forward(batch(&thread_device)))).join().expect("no panic");
    let ours = BatchNorm::from(burns);
    ours.forward(batch(&device));
    let mean = numbers(ours.valid().running_mean.value());
    crate::case::assert_close("running_mean", &mean, &[2.0 * (1.0 - 0.81)], 1e-5);
}

#[test]
fn it_shows_itself_as_burns_does() {
    let (ours, burns) = layers(6, &device());
    assert_eq!(ours.to_string(), burns.to_string());
}
