//! Folding on the CPU: exact up to the storage type, and the layer that does what two did.

use half::f16;
use wgpu_batchnorm::cpu::{self, FoldSlices};
use wgpu_batchnorm::reference::{self, Linear, Statistics};
use wgpu_batchnorm::{Affine, Dtype, Error, FoldOptions, Shape};

use crate::support::data::Random;

fn round(values: Vec<f64>) -> Vec<f32> {
    values.into_iter().map(|value| value as f32).collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}

/// The storage type rounds what the reference has, and nothing else does: by each axis, with groups, large means.
#[test]
fn rounds_once() {
    let cases: [(&[usize], usize, u32); 5] = [
        (&[7, 3, 3, 3], 0, 1),
        (&[33, 64], 1, 1),
        (&[6, 5, 3, 3], 1, 2),
        (&[6, 1, 3, 3], 1, 6),
        (&[3, 3, 5, 9], 3, 1),
    ];
    for (seed, (dims, axis, groups)) in (1..).zip(cases) {
        for affine in Affine::ALL {
            let mut random = Random::new(seed);
            let options = FoldOptions { groups, affine, eps: 1e-3, bias: Dtype::F32 };
            let shape = Shape::new(dims, axis, Dtype::F32).expect("a shape");
            let channels = options.channels(&shape).expect("channels") as usize;
            let weight = round(random.normals(shape.len() as usize, 0.0, 0.3));
            let bias = round(random.normals(channels, 1e6, 1.0));
            let mean = round(random.normals(channels, 1e6, 1.0));
            let variance: Vec<f32> = mean.iter().map(|mean| 0.01 + (mean - 1e6).abs()).collect();
            let (gamma, beta) =
                (round(random.normals(channels, 1.0, 0.5)), round(random.normals(channels, 0.0, 1.0)));
            let gamma = affine.has_gamma().then_some(gamma.as_slice());
            let beta = affine.has_beta().then_some(beta.as_slice());

            let halves: Vec<f16> = weight.iter().map(|w| f16::from_f32(*w)).collect();
            let of = |weight: Vec<f64>| {
                let layer = Linear { weight, bias: wide(&bias) };
                let running = Statistics { mean: wide(&mean), variance: wide(&variance) };
                let (gamma, beta) = (gamma.map(wide), beta.map(wide));
                let (gamma, beta) = (gamma.as_deref(), beta.as_deref());
                reference::fold(&shape, groups, &layer, &running, gamma, beta, options.eps.into())
                    .expect("lengths")
            };
            let (mut folded, mut folded_bias) = (weight.clone(), bias.clone());
            let slices = |weight, bias| FoldSlices {
                weight,
                bias,
                gamma,
                beta,
                running_mean: mean.as_slice(),
                running_var: variance.as_slice(),
            };
            cpu::fold(&shape, &options, slices(&mut folded, &mut folded_bias)).expect("folded");
            let expected = of(wide(&weight));
            let near = |actual: f64, expected: f64, unit: f64| {
                (actual - expected).abs() <= 0.501 * unit * expected.abs()
            };
            for (actual, expected) in
                folded.iter().zip(&expected.weight).chain(folded_bias.iter().zip(&expected.bias))
            {
                assert!(near(f64::from(*actual), *expected, f64::from(f32::EPSILON)), "{actual} {expected}");
            }
            let half = Shape::new(dims, axis, Dtype::F16).expect("a shape");
            let (mut folded, mut folded_bias) = (halves.clone(), bias.clone());
            let slices = FoldSlices {
                weight: &mut folded,
                bias: &mut folded_bias,
                gamma,
                beta,
                running_mean: &mean,
                running_var: &variance,
            };
            cpu::fold(&half, &options, slices).expect("folded");
            let expected = of(halves.iter().map(|w| w.to_f64()).collect());
            for (actual, expected) in folded.iter().zip(&expected.weight) {
                // Below the normal numbers the spacing stays.
                let bound = 0.501 * (expected.abs() * f64::from(f16::EPSILON)).max(2f64.powi(-24));
                assert!((actual.to_f64() - expected).abs() <= bound, "{actual} {expected}");
            }
        }
    }
}

/// By value; nothing is written.
#[test]
fn mistakes() {
    let shape = Shape::new(&[4, 3], 0, Dtype::F32).expect("a shape");
    let fold = |options: FoldOptions, weights: usize, biases: usize, gamma: Option<&[f32]>| {
        let (mut weight, mut bias) = (vec![1.0f32; weights], vec![1.0f32; biases]);
        let slices = FoldSlices {
            weight: &mut weight,
            bias: &mut bias,
            gamma,
            beta: None,
            running_mean: &[0.0; 4],
            running_var: &[1.0; 4],
        };
        let outcome = cpu::fold(&shape, &options, slices);
        assert!(weight.iter().chain(&bias).all(|value| *value == 1.0), "written though refused");
        outcome.expect_err("a mistake")
    };
    let plain = FoldOptions { affine: Affine::None, ..FoldOptions::default() };
    let length = |argument, got, needs| Error::Length { argument, got, needs };
    assert_eq!(fold(plain, 11, 4, None), length("weight", 11, 12));
    assert_eq!(fold(plain, 12, 5, None), length("bias", 5, 4));
    assert_eq!(fold(plain, 12, 4, Some(&[1.0; 4])), Error::Unexpected { argument: "gamma" });
    let gamma = FoldOptions { affine: Affine::Gamma, ..plain };
    assert_eq!(fold(gamma, 12, 4, None), Error::Missing { argument: "gamma", needs: 16 });
    assert_eq!(fold(gamma, 12, 4, Some(&[1.0; 3])), length("gamma", 3, 4));
    assert_eq!(fold(FoldOptions { groups: 2, ..plain }, 12, 4, None), Error::Groups { got: 2, outer: 1 });
    assert!(matches!(fold(FoldOptions { eps: f32::NAN, ..plain }, 12, 4, None), Error::Eps { .. }));
    let half = FoldOptions { bias: Dtype::F16, ..plain };
    assert_eq!(fold(half, 12, 4, None), Error::Dtype { got: "f16", needs: "f32" });
}
