//! The running statistics of a layer, from one batch to the next.

use burn::module::{Module, ModuleMapper, Param, RunningState};
use burn::tensor::{Device, Tensor};

/// Replaces both by what `step` makes of them, and gives its other result.
///
/// Both are locked meanwhile, so that no thread's batch is lost. [`RunningState::update`] keeps a value for each thread
/// and divides by their number before the next one, a launch for each of the two.
pub(crate) fn exchange<T>(
    mean: &RunningState<Tensor<1>>,
    var: &RunningState<Tensor<1>>,
    device: &Device,
    step: impl FnOnce([Tensor<1>; 2]) -> (T, [Tensor<1>; 2]),
) -> T {
    // What Burn's own layer has left to its threads, before it became this one: this adds it up.
    drop((mean.valid(), var.valid()));
    let mut result = None;
    replace(mean, |old_mean| {
        let mut new_mean = None;
        let old_mean = old_mean.to_device(device).dequantize();
        replace(var, |old_var| {
            let (output, [mean, var]) = step([old_mean, old_var.to_device(device).dequantize()]);
            result = Some(output);
            new_mean = Some(mean.detach());
            var.detach()
        });
        new_mean.expect("a state holds one tensor")
    });
    result.expect("a state holds one tensor")
}

/// A state shares its value with its clones.
fn replace(state: &RunningState<Tensor<1>>, step: impl FnOnce(Tensor<1>) -> Tensor<1>) {
    state.clone().map(&mut Once(Some(step)));
}

struct Once<F>(Option<F>);

impl<F: FnOnce(Tensor<1>) -> Tensor<1>> ModuleMapper for Once<F> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.0.take() {
            Some(step) => param.map(|value| {
                let new = step(Tensor::from_dispatch(value.into_dispatch()));
                Tensor::from_dispatch(new.into_dispatch())
            }),
            None => param,
        }
    }
}
