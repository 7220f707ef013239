//! Plans that were made before: a network asks for the same ones at each step.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use wgpu_batchnorm::{
    Activation, Caps, Error, Gradients, Launch, Layer, Plan, Role, RunningVariance, Shape, Update,
};

use crate::kernel::WgslKernel;

/// What is asked of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    Training,
    TrainingBackward(Gradients),
    Inference,
    InferenceBackward(Gradients),
}

/// A plan, and what each of its launches binds: each buffer's role, and whether it is written.
pub(crate) struct Prepared {
    pub(crate) plan: Plan,
    pub(crate) buffers: Vec<Vec<(Role, bool)>>,
}

impl Prepared {
    pub(crate) fn asks_for(&self, role: Role) -> bool {
        self.plan.arguments().iter().any(|argument| argument.role == role)
    }
}

/// Networks have some hundred layers; batches of ever new sizes would fill the memory.
const MOST: usize = 1024;

type Plans = HashMap<Key, Result<Arc<Prepared>, Error>>;

static PLANS: LazyLock<Mutex<Plans>> = LazyLock::new(Mutex::default);

/// The plan for an operation on a tensor that lies like this.
pub(crate) fn prepared(
    operation: Operation,
    layer: &Layer,
    shape: Shape,
    caps: Caps,
) -> Result<Arc<Prepared>, Error> {
    let key = Key::new(operation, layer, shape, caps);
    let mut plans = PLANS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = plans.get(&key) {
        return found.clone();
    }
    let Key { shape, caps, .. } = &key;
    let plan = match operation {
        Operation::Training => Plan::training(shape, &layer.training(), caps),
        Operation::TrainingBackward(gradients) => Plan::backward(shape, &layer.backward(gradients), caps),
        Operation::Inference => Plan::inference(shape, &layer.inference(), caps),
        Operation::InferenceBackward(gradients) => {
            Plan::frozen_backward(shape, &layer.frozen_backward(gradients), caps)
        }
    };
    let prepared = plan.map(|plan| {
        let buffers = |launch: &Launch| WgslKernel::buffers(&launch.kernel).collect();
        Arc::new(Prepared { buffers: plan.launches().iter().map(buffers).collect(), plan })
    });
    if plans.len() >= MOST {
        plans.clear();
    }
    plans.insert(key, prepared.clone());
    prepared
}

/// All that a plan follows from; numbers by their bits.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    operation: Operation,
    shape: Shape,
    caps: Caps,
    eps: u32,
    has_residual: bool,
    activation: (&'static str, [u32; 2]),
    running: Option<(Option<u32>, RunningVariance, Update)>,
}

impl Key {
    fn new(operation: Operation, layer: &Layer, shape: Shape, caps: Caps) -> Self {
        let numbers = match layer.activation {
            Activation::LeakyRelu { alpha } => [alpha, 0.0],
            Activation::Clamp { lo, hi } => [lo, hi],
            _ => [0.0; 2],
        };
        let bits = |number: f32| number.to_bits();
        Self {
            operation,
            shape,
            caps,
            eps: bits(layer.eps),
            has_residual: layer.residual == wgpu_batchnorm::Residual::Added,
            activation: (layer.activation.name(), numbers.map(bits)),
            running: layer
                .running
                .map(|running| (running.momentum.weight().map(bits), running.variance, running.update)),
        }
    }
}

#[cfg(test)]
mod tests {
    use wgpu_batchnorm::{Dtype, Residual};

    use super::*;

    /// What `Path` promises: where there is a plan with all gradients, there is one with any of them.
    #[test]
    fn some_gradients_have_a_plan_where_all_have() {
        for (max_storage_buffers, dims) in (4..=16).flat_map(|buffers| {
            [[32, 64, 784], [25_088, 64, 1], [4, 3, 25], [2, 1, 1]].map(|dims| (buffers, dims))
        }) {
            let caps = Caps { max_storage_buffers, ..Caps::WEBGPU };
            for (activation, residual) in Activation::EACH.into_iter().flat_map(|activation| {
                [Residual::None, Residual::Added].map(|residual| (activation, residual))
            }) {
                let layer = Layer { activation, residual, ..Layer::default() };
                let shape = Shape::new(&dims, 1, Dtype::F32).expect("a shape");
                let plan = |operation: fn(Gradients) -> Operation, gradients| {
                    prepared(operation(gradients), &layer, shape, caps.clone()).map(drop)
                };
                let operations: [fn(Gradients) -> Operation; 2] =
                    [Operation::TrainingBackward, Operation::InferenceBackward];
                for operation in operations {
                    if plan(operation, layer.gradients()).is_err() {
                        continue;
                    }
                    for bits in 1..16 {
                        let bit = |index: u32| bits >> index & 1 == 1;
                        let dresidual = bit(3) && residual == Residual::Added;
                        let gradients = Gradients { dx: bit(0), dgamma: bit(1), dbeta: bit(2), dresidual };
                        if gradients != Gradients::NONE {
                            let found = plan(operation, gradients);
                            assert_eq!(
                                found,
                                Ok(()),
                                "{layer:?} {dims:?} {max_storage_buffers} {gradients:?}"
                            );
                        }
                    }
                }
            }
        }
    }
}
