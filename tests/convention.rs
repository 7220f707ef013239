//! The conventions of other systems, held against numbers worked out by hand from what their documentation says.

use wgpu_batchnorm::reference::{self, Statistics};
use wgpu_batchnorm::{
    Affine, Caps, Convention, Dtype, Error, Layer, Momentum, Plan, RunningCounters, RunningVariance, Shape,
};

/// One channel of mean 3, and of sum of squared deviations 14: variance 3.5 biased, 14 / 3 unbiased.
const X: [f32; 4] = [1.0, 2.0, 3.0, 6.0];

/// The running statistics before.
const OLD: (f32, f32) = (10.0, 2.0);

/// eps, and mean and variance after the batch, of a layer with the defaults of each system.
fn by_hand(convention: Convention) -> (f64, f64, f64) {
    match convention {
        Convention::PyTorch => (1e-5, 0.9 * 10.0 + 0.1 * 3.0, 0.9 * 2.0 + 0.1 * (14.0 / 3.0)),
        Convention::Onnx15 => (1e-5, 0.9 * 10.0 + 0.1 * 3.0, 0.9 * 2.0 + 0.1 * 3.5),
        Convention::Keras3 => (1e-3, 0.99 * 10.0 + 0.01 * 3.0, 0.99 * 2.0 + 0.01 * 3.5),
        Convention::TensorFlowFused => (1e-3, 3.0, 14.0 / 3.0),
        Convention::Burn => (1e-5, 0.9 * 10.0 + 0.1 * 3.0, 0.9 * 2.0 + 0.1 * 3.5),
    }
}

fn shape() -> Shape {
    Shape::new(&[4, 1], 1, Dtype::F32).expect("a shape")
}

/// A number that came from one or two roundings to f32.
#[track_caller]
fn near(actual: f64, expected: f64) {
    assert!((actual - expected).abs() <= 3e-7 * expected.abs(), "{actual} for {expected}");
}

/// The running statistics after the batch, by the reference.
fn after(layer: Layer) -> (f64, f64) {
    let shape = shape();
    let x = X.map(f64::from);
    let batch = reference::statistics(&shape, &x).expect("statistics");
    let old = Statistics { mean: vec![OLD.0.into()], variance: vec![OLD.1.into()] };
    let counters = [RunningCounters::default()];
    let running = layer.running.expect("running statistics");
    let (new, _) = reference::follow(&shape, &old, &counters, &batch, &running).expect("an update");
    (new.mean[0], new.variance[0])
}

#[test]
fn defaults() {
    for convention in Convention::ALL {
        let (layer, (eps, mean, variance)) = (convention.layer(), by_hand(convention));
        assert_eq!(layer.eps, eps as f32, "{convention:?}");
        assert_eq!(layer.affine, Affine::GammaBeta);
        let (new_mean, new_variance) = after(layer);
        near(new_mean, mean);
        near(new_variance, variance);
    }
    assert_eq!(Convention::PyTorch.layer(), Layer::default());
}

/// The same on the path that an application uses.
#[cfg(feature = "cpu")]
#[test]
fn defaults_in_training() {
    use wgpu_batchnorm::SavedStatistics;
    use wgpu_batchnorm::cpu::{self, TrainingSlices};

    for convention in Convention::ALL {
        let (mut running_mean, mut running_var) = ([OLD.0], [OLD.1]);
        let (mut y, mut saved) = ([0.0; 4], [SavedStatistics::default()]);
        let slices = TrainingSlices {
            x: &X,
            y: &mut y,
            gamma: Some(&[1.0]),
            beta: Some(&[0.0]),
            running_mean: Some(&mut running_mean),
            running_var: Some(&mut running_var),
            saved: &mut saved,
        };
        cpu::training(&shape(), &convention.layer().training(), slices).expect("training");
        let (eps, mean, variance) = by_hand(convention);
        near(running_mean[0].into(), mean);
        near(running_var[0].into(), variance);
        // Whichever variance is averaged, the batch is normalized by the biased one.
        near(y[3].into(), 3.0 / (3.5 + eps).sqrt());
    }
}

/// The same average, as each system writes it.
#[test]
fn one_average_in_all_systems() {
    for convention in Convention::ALL {
        let written = match convention {
            Convention::Onnx15 | Convention::Keras3 => 0.75,
            Convention::PyTorch | Convention::TensorFlowFused | Convention::Burn => 0.25,
        };
        let (mean, _) = after(convention.describe(1e-5, written));
        assert_eq!(mean, 0.75 * 10.0 + 0.25 * 3.0, "{convention:?}");
        for momentum in [Momentum::OfNew(0.25), Momentum::OfOld(0.75)] {
            assert_eq!(convention.momentum_of(momentum), Some(written), "{convention:?}, {momentum:?}");
        }
        assert_eq!(convention.momentum_of(Momentum::Cumulative), None);
    }
}

/// What a system wrote it gets back to the bit, also where the other weight would be another f32.
#[test]
fn nothing_is_lost_on_the_way_back() {
    let numbers = [0.99, 0.9, 0.1, 0.3, 1.0, 0.0, -1.2, 1e-30, f32::MAX, f32::INFINITY];
    for (convention, written) in Convention::ALL.into_iter().flat_map(|c| numbers.map(|n| (c, n))) {
        assert_eq!(convention.momentum_of(convention.momentum(written)), Some(written), "{convention:?}");
    }
    // The f32 nearest to 1 less the f32 nearest to 0.99.
    assert_eq!(Convention::PyTorch.momentum_of(Convention::Keras3.momentum(0.99)), Some(0.009_999_99));
}

/// Only TensorFlow's fused operation looks at eps, and raises it to its least.
#[test]
fn eps() {
    for convention in Convention::ALL {
        for eps in [1e-3, 1.001e-5, 1.002e-5, f32::INFINITY] {
            assert_eq!(convention.describe(eps, 0.5).eps, eps, "{convention:?}");
        }
        for eps in [1e-5, 1e-12, 0.0, -1.0] {
            let expected = if convention == Convention::TensorFlowFused { 1.001e-5 } else { eps };
            assert_eq!(convention.describe(eps, 0.5).eps, expected, "{convention:?}");
        }
        assert!(convention.describe(f32::NAN, 0.5).eps.is_nan());
    }
}

/// What cannot be used is refused by the plan, and not before.
#[test]
fn unusable_numbers_are_refused_later() {
    for convention in Convention::ALL {
        let plan = |eps, momentum| {
            Plan::training(&shape(), &convention.describe(eps, momentum).training(), &Caps::WEBGPU)
        };
        assert!(plan(1e-3, 0.5).is_ok());
        assert_eq!(plan(1e-3, f32::INFINITY).err(), Some(Error::Momentum { got: f32::INFINITY }));
        assert!(matches!(plan(1e-3, f32::NAN), Err(Error::Momentum { .. })));
        assert!(matches!(plan(f32::NAN, 0.5), Err(Error::Eps { .. })));
    }
}

#[test]
fn channel_axes() {
    for convention in Convention::ALL {
        let last = matches!(convention, Convention::Keras3 | Convention::TensorFlowFused);
        for rank in 2..6 {
            assert_eq!(convention.channel_axis(rank), if last { rank - 1 } else { 1 }, "{convention:?}");
        }
        // What is no tensor is refused by its shape.
        for rank in 0..2 {
            let dims = vec![4; rank];
            let shape = Shape::new(&dims, convention.channel_axis(rank), Dtype::F32);
            assert_eq!(shape.err(), Some(Error::Rank { got: rank }));
        }
    }
}

#[test]
fn each_is_listed_once_and_has_its_own_name() {
    for (index, convention) in Convention::ALL.into_iter().enumerate() {
        assert_eq!(Convention::ALL.iter().position(|&other| other == convention), Some(index));
        assert_eq!(Convention::ALL.iter().filter(|other| other.name() == convention.name()).count(), 1);
        let running = convention.layer().running.expect("running statistics");
        assert_eq!(running.variance, convention.variance());
    }
    assert_eq!(Convention::ALL.iter().filter(|c| c.variance() == RunningVariance::Unbiased).count(), 2);
}
