//! At an offset of 1e6 ours is right, by the library's bounds against f64, and Burn's is not.

use wgpu_batchnorm::{Dtype, Shape, reference, verify};

use crate::case::{Step, affine, burns, layers, ours, tensor, training_device, values};

const DIMS: [usize; 4] = [8, 16, 14, 14];

/// The worst of each result, as part of its bound.
fn worst(step: &Step, x: &[f32], dy: &[f32]) -> Vec<(&'static str, f64)> {
    let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<f64>>();
    let shape = Shape::new(&DIMS, 1, Dtype::F32).expect("a shape");
    let ([gamma, beta], x, dy) = (affine(DIMS[1]).map(|values| wide(&values)), wide(x), wide(dy));
    let batch = reference::statistics(&shape, &x).expect("statistics");
    let y = reference::normalize(&shape, &x, &batch, Some(&gamma), Some(&beta), 1e-5).expect("y");
    let truth = reference::backward(&shape, &x, &dy, &batch, Some(&gamma), 1e-5).expect("gradients");
    let most = |values: &[f64]| values.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    let x_hat = reference::normalize(&shape, &x, &batch, None, None, 1e-5).expect("x_hat");
    let invstd =
        batch.variance.iter().fold(0.0, |most: f64, variance| most.max((variance + 1e-5).powf(-0.5)));
    let y_bound = 2e-6 * (1.0 + most(&gamma) * most(&x_hat));
    let dx_bound = 2e-6 * most(&gamma) * invstd * (1.0 + 1.5 * most(&dy));
    let average = |new: &[f64], old: f64| new.iter().map(|new| 0.9 * old + 0.1 * new).collect::<Vec<f64>>();
    let (mean, var) = (average(&batch.mean, 0.0), average(&batch.variance, 1.0));
    [
        ("y", &step.y, &y, y_bound),
        ("dx", &step.dx, &truth.dx, dx_bound),
        ("dgamma", &step.dgamma, &truth.dgamma, 2e-5 * most(&truth.dgamma)),
        ("dbeta", &step.dbeta, &truth.dbeta, 2e-5 * most(&truth.dbeta)),
        ("running_mean", &step.running_mean, &mean, 2e-6 * most(&mean)),
        ("running_var", &step.running_var, &var, 2e-5 * most(&var)),
    ]
    .map(|(name, actual, expected, bound)| {
        (name, verify::compare(actual, expected, |_| bound).worst_of_bound)
    })
    .to_vec()
}

#[test]
fn ours_is_right_at_any_offset_where_burns_is_not() {
    let device = training_device();
    let len = DIMS.iter().product();
    let dy = values(2, len);
    for offset in [0.0, 1e3, 1e4, 1e5, 1e6] {
        let x: Vec<f32> = values(1, len).iter().map(|value| value + offset).collect();
        let (our_layer, burn_layer) = layers(DIMS[1], &device);
        let tensors = || (tensor(&x, DIMS, &device), tensor(&dy, DIMS, &device));
        let ((our_x, our_dy), (burn_x, burn_dy)) = (tensors(), tensors());
        let ours = worst(&ours(&our_layer, our_x, our_dy), &x, &dy);
        let burns = worst(&burns(&burn_layer, burn_x, burn_dy), &x, &dy);
        println!("offset {offset:.0e}, error as part of its bound");
        for ((name, ours), (_, burns)) in ours.iter().zip(&burns) {
            println!("  {name:<13} ours {ours:9.3}  Burn's {burns:12.3}");
            assert!(*ours <= 1.0, "{name} at offset {offset:e}: {ours} of its bound");
        }
        if offset == 1e6 {
            let y = burns[0].1;
            assert!(y > 100.0, "Burn's y has become exact ({y} of the bound): the README says otherwise");
        }
    }
}
