//! Folding into the layer before, against the reference.

use wgpu_batchnorm::reference::{self, Linear, Statistics};
use wgpu_batchnorm::verify::compare;
use wgpu_batchnorm::{Affine, Dtype, Error, Fold, FoldBuffers, FoldOptions, Shape};

use crate::Test;
use crate::support::arena::{Arena, Layout};
use crate::support::case::round;
use crate::support::check::{U, Verdict, hold};
use crate::support::data::{self, Random};
use crate::support::gpu::Gpu;
use crate::support::run::{Ranges, parameter, submit, tensor};

pub const TESTS: &[Test] = &[
    ("weights", weights),
    ("transposed_in_groups", transposed_in_groups),
    ("hostile", hostile),
    ("slices", slices),
    ("mistakes", mistakes),
];

/// A layer and the batch norm behind it, as stored.
pub struct Folding {
    shape: Shape,
    options: FoldOptions,
    layer: Linear,
    running: Statistics,
    gamma: Vec<f64>,
    beta: Vec<f64>,
}

impl Folding {
    pub fn new(shape: Shape, options: FoldOptions, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let channels = options.channels(&shape).expect("groups") as usize;
        let weight = random.normals(shape.len() as usize, 0.0, 0.3);
        let bias = random.normals(channels, 0.0, 1.0);
        let layer = Linear {
            weight: reference::stored(shape.dtype(), &weight),
            bias: reference::stored(options.bias, &bias),
        };
        let mean = round(&random.normals(channels, 0.5, 2.0));
        let variance = random.normals(channels, 1.0, 0.5).iter().map(|v| v.abs() + 1e-3).collect::<Vec<_>>();
        let running = Statistics { mean, variance: round(&variance) };
        let (gamma, beta) = (random.normals(channels, 1.0, 0.5), random.normals(channels, 0.0, 1.0));
        Self { shape, options, layer, running, gamma: round(&gamma), beta: round(&beta) }
    }

    /// Each result within a few roundings of f32 of its terms, and the rounding to its storage type. A root may be off by two
    /// units of its own.
    pub fn check(&self, folded: &Linear) -> Verdict {
        let FoldOptions { eps, affine, groups, bias } = self.options;
        let gamma = affine.has_gamma().then_some(self.gamma.as_slice());
        let beta = affine.has_beta().then_some(self.beta.as_slice());
        let (layer, running) = (&self.layer, &self.running);
        let expected =
            reference::fold(&self.shape, groups, layer, running, gamma, beta, eps.into()).expect("lengths");
        let rounding = |dtype: Dtype, value: f64| match dtype {
            Dtype::F32 => 0.0,
            Dtype::F16 => 0.5 * (value.abs() * 2f64.powi(-10)).max(2f64.powi(-24)),
        };
        let held = |name: &str, actual: &[f64], expected: &[f64], bound: &dyn Fn(usize) -> f64| {
            let comparison = compare(actual, expected, bound);
            if comparison.passed() { Ok(()) } else { Err(format!("{name}: {comparison}")) }
        };
        held("weight", &folded.weight, &expected.weight, &|i| {
            8.0 * U * expected.weight[i].abs() + rounding(self.shape.dtype(), expected.weight[i])
        })?;
        held("bias", &folded.bias, &expected.bias, &|c| {
            let beta = beta.map_or(0.0, |beta| beta[c]);
            let term = (expected.bias[c] - beta).abs();
            8.0 * U * term + 2.0 * U * beta.abs() + rounding(bias, expected.bias[c])
        })
    }

    pub fn run(&self, gpu: &Gpu, layout: Layout, in_place: bool) -> Linear {
        let operation = Fold::new(&gpu.context, &self.shape, self.options).expect("fold");
        let biases = Shape::new(&[1, self.layer.bias.len()], 1, self.options.bias).expect("a shape");
        let mut arena = Arena::new(gpu, layout);
        let mut slots = vec![
            tensor(&mut arena, &self.shape, Some(&self.layer.weight)),
            tensor(&mut arena, &biases, Some(&self.layer.bias)),
            parameter(&mut arena, &self.gamma),
            parameter(&mut arena, &self.beta),
            parameter(&mut arena, &self.running.mean),
            parameter(&mut arena, &self.running.variance),
        ];
        let [weight, bias] = if in_place { [0, 1] } else { [6, 7] };
        if !in_place {
            slots.extend([tensor(&mut arena, &self.shape, None), tensor(&mut arena, &biases, None)]);
        }
        let ranges = Ranges::new(&arena, &slots);
        let affine = self.options.affine;
        submit(gpu, |encoder| {
            let buffers = FoldBuffers {
                weight: ranges.binding(0),
                bias: ranges.binding(1),
                gamma: affine.has_gamma().then(|| ranges.binding(2)),
                beta: affine.has_beta().then(|| ranges.binding(3)),
                running_mean: ranges.binding(4),
                running_var: ranges.binding(5),
                folded_weight: ranges.binding(weight),
                folded_bias: ranges.binding(bias),
            };
            operation.encode(encoder, &buffers).expect("encode");
        });
        let memory = arena.read(&[slots[weight], slots[bias]]);
        Linear {
            weight: data::decode(&self.shape, memory.words(slots[weight])),
            bias: data::decode(&biases, memory.words(slots[bias])),
        }
    }
}

/// What is folded, with all of it in place and not, in buffers of their own and in one.
fn each_way(gpu: &Gpu, folding: &Folding) {
    for (layout, in_place) in Layout::ALL.into_iter().flat_map(|layout| [(layout, false), (layout, true)]) {
        let folded = folding.run(gpu, layout, in_place);
        let what = format!("{} {:?} {layout:?}, in place: {in_place}", folding.shape, folding.options);
        hold(what, folding.check(&folded));
    }
}

/// Convolutions and linear layers of several systems, by each storage type of weight and bias, whatever there is of
/// gamma and beta.
fn weights(gpu: &Gpu) {
    let weights: [(&[usize], usize); 6] = [
        (&[7, 3, 3, 3], 0),
        (&[64, 33], 0),
        (&[5, 6, 4, 4], 1),
        (&[3, 3, 5, 9], 3),
        (&[33, 64], 1),
        (&[1, 1], 0),
    ];
    for (seed, (dims, axis)) in (0..).zip(weights) {
        for (dtype, bias) in Dtype::ALL.into_iter().flat_map(|dtype| Dtype::ALL.map(|bias| (dtype, bias))) {
            let shape = Shape::new(dims, axis, dtype).expect("a shape");
            let affine = Affine::ALL[(seed as usize + bias as usize) % 4];
            let options = FoldOptions { affine, bias, eps: 1e-3, ..FoldOptions::default() };
            each_way(gpu, &Folding::new(shape, options, seed));
        }
    }
}

/// Weights `[in, out / groups, ..]`, down to one input and one output in a group: of values that words of f16 do not share
/// evenly.
fn transposed_in_groups(gpu: &Gpu) {
    for (dims, groups) in [([6, 5, 3, 3], 2), ([6, 1, 3, 3], 6), ([8, 2, 1, 1], 4), ([9, 3, 1, 3], 3)] {
        for dtype in Dtype::ALL {
            let shape = Shape::new(&dims, 1, dtype).expect("a shape");
            let options = FoldOptions { groups, ..FoldOptions::default() };
            each_way(gpu, &Folding::new(shape, options, groups.into()));
        }
    }
}

/// Means to 1e6 with a bias beside them, tiny and huge variances, eps of 0: within the same few roundings of the terms.
fn hostile(gpu: &Gpu) {
    for (seed, (mean, variance, eps)) in
        (0..).zip([(1e6, 1.0f64, 1e-5), (-1e4, 1e-12, 1e-5), (30.0, 1e12, 0.0), (1e6, 1e-30, 0.0)])
    {
        for dtype in Dtype::ALL {
            let shape = Shape::new(&[6, 11], 0, dtype).expect("a shape");
            let mut folding = Folding::new(shape, FoldOptions { eps, ..FoldOptions::default() }, seed);
            // As large as the mean, so that their difference is what is left; and gamma that brings it back to size.
            let near = Random::new(seed).normals(6, mean, 1.0);
            folding.layer.bias = reference::stored(Dtype::F32, &near);
            folding.running.mean = vec![f64::from(mean as f32); 6];
            folding.running.variance = vec![f64::from(variance as f32); 6];
            folding.gamma.iter_mut().for_each(|gamma| *gamma *= variance.sqrt());
            folding.gamma = round(&folding.gamma);
            each_way(gpu, &folding);
        }
    }
}

/// A weight larger than one binding, on any axis; in groups it is refused.
fn slices(gpu: &Gpu) {
    let small = gpu.limited(|limits| limits.max_storage_buffer_binding_size = 4096);
    for (dims, axis) in [([70, 33], 0), ([33, 70], 1), ([3, 2500], 0)] {
        for dtype in Dtype::ALL {
            let shape = Shape::new(&dims, axis, dtype).expect("a shape");
            let folding = Folding::new(shape, FoldOptions::default(), 5);
            let operation = Fold::new(&small.context, &shape, folding.options).expect("fold");
            assert!(operation.plan().launches().len() > 2, "{}", operation.plan());
            each_way(&small, &folding);
        }
    }
    let shape = Shape::new(&[4, 20, 25], 1, Dtype::F32).expect("a shape");
    let options = FoldOptions { groups: 2, ..FoldOptions::default() };
    let (argument, limit) = ("weight", "max_storage_buffer_binding_size");
    let refused = Fold::new(&small.context, &shape, options).expect_err("groups in slices");
    assert_eq!(refused, Error::Limit { argument, limit, got: 4096, needs: 8000 });
}

/// By value and by message.
fn mistakes(gpu: &Gpu) {
    let shape = Shape::new(&[4, 6, 3], 1, Dtype::F32).expect("a shape");
    let make = |options| Fold::new(&gpu.context, &shape, options).map(drop);
    let usual = FoldOptions::default();
    for groups in [0, 3, 8] {
        let error = make(FoldOptions { groups, ..usual }).expect_err("groups");
        assert_eq!(error, Error::Groups { got: groups, outer: 4 });
        let needs = "needs to divide the 4 inputs before the channel axis of the weight";
        assert_eq!(error.to_string(), format!("groups: is {groups}, {needs}"));
    }
    assert!(matches!(make(FoldOptions { eps: -1.0, ..usual }), Err(Error::Eps { .. })));

    let fold = Fold::new(&gpu.context, &shape, usual).expect("fold");
    let mut arena = Arena::new(gpu, Layout::Separate);
    let tensors = [(); 2].map(|()| arena.output(shape.size_in_bytes()));
    let channels = [(); 6].map(|()| arena.output(24));
    let ranges = Ranges::new(&arena, &[&tensors[..], &channels[..]].concat());
    let whole = FoldBuffers {
        weight: ranges.binding(0),
        bias: ranges.binding(2),
        gamma: Some(ranges.binding(3)),
        beta: Some(ranges.binding(4)),
        running_mean: ranges.binding(5),
        running_var: ranges.binding(6),
        folded_weight: ranges.binding(1),
        folded_bias: ranges.binding(7),
    };
    let refused = |buffers: FoldBuffers<'_>| fold.prepare(&buffers).map_err(|error| error.to_string());
    assert_eq!(refused(whole.clone()), Ok(()));
    let message = "gamma: is absent, needs a buffer of 24 bytes";
    assert_eq!(refused(FoldBuffers { gamma: None, ..whole.clone() }), Err(message.into()));
    let message = "weight: holds 24 bytes, needs 288 (72 values of 4 bytes)";
    assert_eq!(refused(FoldBuffers { weight: ranges.binding(2), ..whole.clone() }), Err(message.into()));
    let message = "folded_bias: is written and overlaps running_mean, needs memory of its own";
    assert_eq!(refused(FoldBuffers { folded_bias: ranges.binding(5), ..whole.clone() }), Err(message.into()));
    let message = "folded_weight: is written and overlaps bias, needs memory of its own";
    let over = FoldBuffers { bias: ranges.binding(1), ..whole };
    assert_eq!(refused(over), Err(message.into()));
}
