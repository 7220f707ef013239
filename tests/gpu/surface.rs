//! Random layers: everything that a description can say, over random shapes and data, against the reference.
//!
//! The same cases every time: the seed is fixed. `PROPTEST_CASES` sets how many there are, `PROPTEST_RNG_SEED`
//! another seed; a failure names both and the smallest case that still fails.

use proptest::prelude::*;
use wgpu_batchnorm::{
    Activation, Affine, Backward, BackwardOptions, Dtype, Error, FrozenBackward, Gradients, Inference, Layer,
    Momentum, Residual, RunningStatistics, RunningTarget, RunningVariance, Shape, Training, Update,
    reference,
};

use crate::Test;
use crate::property;
use crate::support::arena::Layout;
use crate::support::case::{Case, round};
use crate::support::data::Random;
use crate::support::gpu::Gpu;
use crate::support::run;
use crate::support::surface::Surface;

pub const TESTS: &[Test] = &[("any_layer", any_layer)];

/// Most of the time goes into compiling: nearly every case has kernels of its own.
const CASES: u32 = 250;

/// A case as proptest shrinks it: numbers, no tensors.
#[derive(Clone, Debug)]
struct Description {
    dims: Vec<usize>,
    axis: usize,
    dtype: Dtype,
    layer: Layer,
    gradients: Gradients,
    layout: Layout,
    in_place: bool,
    /// Bytes of the largest binding that the device allows, so that tensors come in slices; `None` for its own limit.
    binding: Option<u32>,
    offset: f64,
    scale: f64,
    /// One value of each channel is that many standard deviations away; 0 for none.
    outlier: f64,
    /// Whether one value is NaN.
    poisoned: bool,
    seed: u64,
}

impl Description {
    /// The device, or one whose bindings are small.
    fn device(&self, gpu: &Gpu) -> Gpu {
        match self.binding {
            Some(bytes) => gpu.limited(|limits| limits.max_storage_buffer_binding_size = bytes.into()),
            None => gpu.anew(),
        }
    }

    /// An operation; `None` where it is refused for small bindings, as for statistics that do not fit one.
    fn fits<T>(&self, operation: Result<T, Error>) -> Result<Option<T>, String> {
        match operation {
            Ok(operation) => Ok(Some(operation)),
            Err(Error::Limit { limit: "max_storage_buffer_binding_size", .. }) if self.binding.is_some() => {
                Ok(None)
            }
            Err(error) => Err(error.to_string()),
        }
    }

    fn surface(&self) -> Surface {
        let shape = Shape::new(&self.dims, self.axis, self.dtype).expect("a shape");
        // f16 ends at 65504.
        let most = if self.dtype == Dtype::F16 { 6e4 } else { f64::INFINITY };
        let (len, run) = (shape.len() as usize, shape.inner() as usize);
        let position = self.seed as usize % (shape.values_per_channel() as usize).max(1);
        let poison = if self.poisoned { self.seed as usize / 7 % len.max(1) } else { len };
        let mut case = Case::random(shape, self.seed, 0.0).with_x(|i, _, x| {
            let value = i / (run * shape.channels() as usize) * run + i % run;
            let x = if value == position { x + self.outlier } else { x };
            if i == poison { f64::NAN } else { (self.offset + self.scale * x).clamp(-most, most) }
        });
        case.running.mean.iter_mut().for_each(|mean| *mean = self.offset + self.scale * *mean);
        case.running.variance.iter_mut().for_each(|variance| *variance *= self.scale * self.scale);
        case.running.mean = round(&case.running.mean);
        case.running.variance = round(&case.running.variance);
        let residual = Random::new(self.seed ^ 0x5eed).normals(len, 0.0, 1.5);
        Surface {
            residual: reference::stored(self.dtype, &residual),
            case,
            layer: self.layer,
            gradients: self.gradients,
            layout: self.layout,
            in_place: self.in_place && len > 0,
        }
    }
}

fn activations() -> impl Strategy<Value = Activation> {
    prop_oneof![
        2 => Just(Activation::Identity),
        2 => Just(Activation::Relu),
        1 => prop_oneof![Just(0.01f32), Just(0.0), -2f32..3.0].prop_map(|alpha| Activation::LeakyRelu { alpha }),
        1 => Just(Activation::RELU6),
        1 => (-2f32..0.5, 0.1f32..2.0).prop_map(|(lo, width)| Activation::Clamp { lo, hi: lo + width }),
        1 => Just(Activation::Clamp { lo: f32::NEG_INFINITY, hi: 0.5 }),
        1 => Just(Activation::Sigmoid),
        1 => Just(Activation::Tanh),
        1 => Just(Activation::Silu),
        1 => Just(Activation::Gelu),
    ]
}

fn followings() -> impl Strategy<Value = RunningStatistics> {
    let momentum = prop_oneof![
        2 => prop_oneof![Just(0.1f32), Just(0.0), Just(1.0), -2f32..2.0].prop_map(Momentum::OfNew),
        2 => prop_oneof![Just(0.9f32), Just(0.99)].prop_map(Momentum::OfOld),
        1 => Just(Momentum::Cumulative),
    ];
    let variance = prop::sample::select(vec![RunningVariance::Unbiased, RunningVariance::Biased]);
    let update = prop::sample::select(vec![Update::Always, Update::IfChannelFinite, Update::IfLayerFinite]);
    let target = prop::sample::select(vec![RunningTarget::InPlace, RunningTarget::Fresh]);
    (momentum, variance, update, target).prop_map(|(momentum, variance, update, target)| RunningStatistics {
        momentum,
        variance,
        update,
        target,
    })
}

fn layers() -> impl Strategy<Value = Layer> {
    let affine = prop::sample::select(Affine::ALL.to_vec());
    let residual = prop::sample::select(vec![Residual::None, Residual::Added]);
    let eps = prop::sample::select(vec![1e-5f32, 1e-3, 1e-12, 1.0]);
    (eps, affine, residual, activations(), prop::option::weighted(0.7, followings())).prop_map(
        |(eps, affine, residual, activation, running)| Layer { eps, affine, residual, activation, running },
    )
}

fn descriptions() -> impl Strategy<Value = Description> {
    let options = (
        prop::sample::select(Dtype::ALL.to_vec()),
        layers(),
        1u8..16,
        prop::sample::select(Layout::ALL.to_vec()),
        any::<bool>(),
        prop::option::weighted(0.15, (9u32..14).prop_map(|log| 1 << log)),
    );
    let data = (
        prop_oneof![1 => Just(0.0), 4 => property::magnitude(0.0..6.0)],
        (-3f64..3.0).prop_map(|exponent| 10f64.powf(exponent)),
        prop_oneof![3 => Just(0.0), 1 => property::magnitude(1.0..4.0)],
        prop::bool::weighted(0.1),
        any::<u64>(),
    );
    (property::dims(), options, data).prop_map(|((dims, axis), options, data)| {
        let (dtype, layer, bits, layout, in_place, binding) = options;
        let (offset, scale, outlier, poisoned, seed) = data;
        let added = layer.residual == Residual::Added;
        let mut gradients = Gradients {
            dx: bits & 1 != 0,
            dgamma: bits & 2 != 0,
            dbeta: bits & 4 != 0,
            dresidual: bits & 8 != 0 && added,
        };
        gradients.dx |= gradients == Gradients::NONE;
        let poisoned = poisoned && dims.iter().all(|dim| *dim > 0);
        Description {
            dims,
            axis,
            dtype,
            layer,
            gradients,
            layout,
            in_place,
            binding,
            offset,
            scale,
            outlier,
            poisoned,
            seed,
        }
    })
}

/// Each pass by the plan that the policy picks, and by one of the other strategies.
fn any_layer(gpu: &Gpu) {
    property::run(CASES, descriptions(), |description| {
        let (surface, gpu) = (description.surface(), &description.device(gpu));
        let (context, shape) = (&gpu.context, surface.case.shape);
        let (layer, gradients) = (surface.layer, surface.gradients);
        if let Some(inference) = description.fits(Inference::new(context, &shape, layer.inference()))? {
            let verdict = surface.inference(gpu, &inference);
            verdict.map_err(|wrong| format!("{}: {wrong}", inference.plan()))?;
        }
        let frozen = FrozenBackward::new(context, &shape, layer.frozen_backward(gradients));
        if let Some(frozen) = description.fits(frozen)? {
            let verdict = surface.frozen_backward(gpu, &frozen);
            verdict.map_err(|wrong| format!("{}: {wrong}", frozen.plan()))?;
        }
        let training = Training::new(context, &shape, layer.training());
        if shape.values_per_channel() == 1 {
            return training.map_or(Ok(()), |layer| Err(format!("{} was taken", layer.plan())));
        }
        let Some(training) = description.fits(training)? else { return Ok(()) };
        let saved = surface.training(gpu, &training);
        let saved = saved.map_err(|wrong| format!("{}: {wrong}", training.plan()))?;
        // Small bindings are not for all strategies.
        let pick = |len: usize| description.seed as usize / 11 % len.max(1);
        let others = || run::trainings(gpu, &shape, &layer.training());
        let others = if description.binding.is_none() { others() } else { Vec::new() };
        if let Some(other) = others.get(pick(others.len())) {
            surface.training(gpu, other).map_err(|wrong| format!("{}: {wrong}", other.plan()))?;
        }
        if description.poisoned {
            return Ok(());
        }
        let saved = if shape.is_empty() { surface.case.saved(layer.eps) } else { saved };
        let options: BackwardOptions = layer.backward(gradients);
        let Some(backward) = description.fits(Backward::new(context, &shape, options))? else {
            return Ok(());
        };
        surface.backward(gpu, &backward, &saved).map_err(|wrong| format!("{}: {wrong}", backward.plan()))?;
        let others = || run::backwards(gpu, &shape, &options);
        let others = if description.binding.is_none() { others() } else { Vec::new() };
        match others.get(pick(others.len())) {
            Some(other) => {
                surface.backward(gpu, other, &saved).map_err(|wrong| format!("{}: {wrong}", other.plan()))
            }
            None => Ok(()),
        }
    });
}
