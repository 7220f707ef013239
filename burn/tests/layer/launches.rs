//! How often the layer launches: what it is for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::Tensor;
use cubecl::logging::{LaunchObservation, LaunchObserver};

use crate::case::{layers, tensor, training_device, values};

/// The names of the kernels of this library that were launched, and how many others.
#[derive(Default)]
struct Counter {
    ours: Mutex<Vec<&'static str>>,
    others: AtomicUsize,
}

impl LaunchObserver for Counter {
    fn launched(&self, kernel: &'static str) {
        let is_ours =
            ["train_", "grad_", "infer_", "running_", "frozen_"].iter().any(|name| kernel.starts_with(name));
        if is_ours {
            self.ours.lock().unwrap_or_else(PoisonError::into_inner).push(kernel);
        } else {
            self.others.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Other tests run beside this one: only the names of ours say something, and only of this shape's strategy.
#[test]
fn a_step_takes_a_few_launches() {
    let device = training_device();
    let (layer, _) = layers(6, &device);
    let x: Tensor<4> = tensor(&values(1, 2400), [16, 6, 5, 5], &device).require_grad();
    let counter = Arc::new(Counter::default());
    let observation = LaunchObservation::new(counter.clone());
    let grads = layer.forward(x.clone()).sum().backward();
    drop(x.grad(&grads).expect("x asks for it").into_data());
    drop(observation);
    let ours = counter.ours.lock().unwrap_or_else(PoisonError::into_inner);
    println!("{ours:?}, and {} of Burn's", counter.others.load(Ordering::Relaxed));
    assert!(ours.iter().any(|name| name.starts_with("train_")), "{ours:?}");
    assert!(ours.iter().any(|name| name.starts_with("grad_")), "{ours:?}");
}
