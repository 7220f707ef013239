//! Several threads, several layers, many tensors in one buffer.

use burn::tensor::Tensor;

use crate::case::{layers, numbers, ours, tensor, training_device, values};

#[test]
fn threads_get_what_one_gets() {
    let step = |seed: u64| {
        let device = training_device();
        let (layer, _) = layers(6, &device);
        let (x, dy): (Tensor<4>, Tensor<4>) = (
            tensor(&values(seed, 600), [4, 6, 5, 5], &device),
            tensor(&values(seed + 100, 600), [4, 6, 5, 5], &device),
        );
        let step = ours(&layer, x, dy);
        step.all().map(|(_, values)| values.to_vec())
    };
    let alone: Vec<_> = (1..5).map(step).collect();
    let together: Vec<_> = (1..5).map(|seed| std::thread::spawn(move || step(seed))).collect();
    let together: Vec<_> =
        together.into_iter().map(|thread| thread.join().expect("no thread panics")).collect();
    assert_eq!(alone, together);
}

/// One layer, trained by several threads: each batch is in the average once.
#[test]
fn a_shared_layer_counts_every_batch() {
    let device = training_device();
    let (layer, _) = layers(1, &device);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (layer, device) = (layer.clone(), device.clone());
            std::thread::spawn(move || {
                for _ in 0..5 {
                    layer.forward(tensor::<2>(&[1.0, 3.0], [2, 1], &device));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no thread panics");
    }
    let expected = 2.0 * (1.0 - 0.9f64.powi(20));
    crate::case::assert_close("running_mean", &numbers(layer.running_mean.value_sync()), &[expected], 1e-5);
}

#[test]
fn layers_in_a_row_among_burns_operations() {
    let device = training_device();
    let norms: Vec<_> = (0..6).map(|_| layers(8, &device)).collect();
    let x: Tensor<4> = tensor(&values(1, 4 * 8 * 36), [4, 8, 6, 6], &device);
    for round in 0..10 {
        let run = |by_ours: bool| {
            let x = x.clone().mul_scalar(1.0 + f64::from(round)).require_grad();
            let y = norms.iter().fold(x.clone(), |x, (ours, burns)| {
                let x = x.clone().tanh() + x * 0.5;
                if by_ours { ours.forward(x) } else { burns.forward(x) }
            });
            let grads = y.clone().powi_scalar(3).sum().backward();
            (numbers(y), numbers(x.grad(&grads).expect("x asks for it")))
        };
        let ((our_y, our_dx), (burn_y, burn_dx)) = (run(true), run(false));
        crate::case::assert_close("y", &our_y, &burn_y, 1e-4);
        crate::case::assert_close("dx", &our_dx, &burn_dx, 1e-3);
    }
}
