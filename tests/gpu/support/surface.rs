//! Any layer: run on the device, and held against the reference.

use wgpu_batchnorm::reference::{self, Statistics};
use wgpu_batchnorm::verify::compare;
use wgpu_batchnorm::{
    Activation, Backward, BackwardBuffers, FrozenBackward, FrozenBackwardBuffers, Gradients, Inference,
    InferenceBuffers, Layer, Residual, RunningCounters, RunningStatistics, RunningTarget, RunningUpdate,
    RunningUpdateBuffers, SavedStatistics, Training, TrainingBuffers, wgpu,
};

use super::arena::{Arena, Layout, Memory, Slot};
use super::case::{Case, channel};
use super::check::{self, U, Verdict};
use super::data;
use super::gpu::Gpu;
use super::gradients::{Differentiated, Expected, steepest};
use super::run::{Ranges, parameter, submit, tensor};

/// A layer over a case, and how its tensors lie in memory.
#[derive(Clone, Debug)]
pub struct Surface {
    pub case: Case,
    pub residual: Vec<f64>,
    pub layer: Layer,
    pub gradients: Gradients,
    pub layout: Layout,
    /// y over x, dx over dy.
    pub in_place: bool,
}

/// Buffers by name: those that an operation is not described with are not given.
struct Slots {
    named: Vec<(&'static str, Slot)>,
}

impl Slots {
    fn slot(&self, name: &str) -> Slot {
        self.named.iter().find(|(known, _)| *known == name).map(|(_, slot)| *slot).expect("a slot")
    }

    fn has(&self, name: &str) -> bool {
        self.named.iter().any(|(known, _)| *known == name)
    }

    fn ranges(&self, arena: &Arena<'_>) -> Ranges {
        Ranges::new(arena, &self.named.iter().map(|(_, slot)| *slot).collect::<Vec<_>>())
    }

    fn binding<'a>(&self, ranges: &'a Ranges, name: &str) -> Option<wgpu::BufferBinding<'a>> {
        let index = self.named.iter().position(|(known, _)| *known == name)?;
        Some(ranges.binding(index))
    }

    fn given<'a>(&self, ranges: &'a Ranges, name: &str) -> wgpu::BufferBinding<'a> {
        self.binding(ranges, name).expect("a binding")
    }

    fn written(&self, names: &[&str]) -> Vec<Slot> {
        names.iter().filter(|name| self.has(name)).map(|name| self.slot(name)).collect()
    }
}

/// What the forward pass of the reference gives.
pub struct Forward {
    pub statistics: Statistics,
    /// Before residual and activation.
    pub normalized: Vec<f64>,
    /// With the residual.
    pub z: Vec<f64>,
    pub y: Vec<f64>,
}

/// Where the new running statistics are.
fn updated(slots: &Slots) -> [&'static str; 2] {
    if slots.has("new_running_mean") {
        ["new_running_mean", "new_running_var"]
    } else {
        ["running_mean", "running_var"]
    }
}

/// Where a NaN is expected it is so exactly.
pub fn known(bound: f64) -> f64 {
    if bound.is_nan() { 0.0 } else { bound }
}

impl Surface {
    pub fn acts(&self) -> bool {
        self.layer.activation != Activation::Identity
    }

    pub fn added(&self) -> Option<&[f64]> {
        (self.layer.residual == Residual::Added).then_some(self.residual.as_slice())
    }

    fn forward(&self, statistics: Statistics) -> Forward {
        let (case, layer) = (&self.case, &self.layer);
        let (gamma, beta) = (case.gamma(layer.affine), case.beta(layer.affine));
        let eps = f64::from(layer.eps);
        let normalized = reference::normalize(&case.shape, &case.x, &statistics, gamma, beta, eps);
        let normalized = normalized.expect("lengths");
        let z = reference::finish(&normalized, self.added(), Activation::Identity).expect("lengths");
        let y = reference::finish(&normalized, self.added(), layer.activation).expect("lengths");
        Forward { statistics, normalized, z, y }
    }

    /// How far z may be off: the bound of y without a tail, and the rounding of the residual's sum.
    pub fn z_bound(&self, forward: &Forward) -> impl Fn(usize) -> f64 {
        let (case, eps) = (&self.case, f64::from(self.layer.eps));
        let Statistics { mean, variance } = &forward.statistics;
        let channels = case.shape.channels() as usize;
        let mut largest = vec![0.0f64; channels];
        for (i, x) in case.x.iter().enumerate() {
            let c = case.channel(i);
            largest[c] = largest[c].max(((x - mean[c]) / (variance[c] + eps).sqrt()).abs());
        }
        let gamma = case.gamma(self.layer.affine).map_or_else(|| vec![1.0; channels], <[f64]>::to_vec);
        let beta = case.beta(self.layer.affine).map_or_else(|| vec![0.0; channels], <[f64]>::to_vec);
        let (shape, z) = (case.shape, forward.z.clone());
        let from_residual = self.added().is_some();
        move |i| {
            let c = channel(&shape, i);
            let sum = if from_residual { 2.0 * U * z[i].abs() } else { 0.0 };
            2e-6 * (1.0 + gamma[c].abs() * largest[c]) + 2.0 * U * beta[c].abs() + sum
        }
    }

    /// y is off by what z is, times the steepest slope, and by a few roundings of its own: WGSL lets exp(z) be off by
    /// 3 + 2 |z| units, and what is left of it is largest about |z| = 1.
    fn check_y(&self, forward: &Forward, y: &[f64]) -> Verdict {
        let z_bound = self.z_bound(forward);
        let steepest = steepest(self.layer.activation);
        check::tensor("y", &self.case.shape, y, &forward.y, |i| {
            let own =
                if self.acts() { 16.0 * U * (forward.y[i].abs() + forward.z[i].abs().min(1.0)) } else { 0.0 };
            known(steepest * z_bound(i) + own)
        })
    }

    pub fn training(&self, gpu: &Gpu, layer: &Training) -> Result<Vec<SavedStatistics>, String> {
        let (case, options) = (&self.case, self.layer.training());
        let mut arena = Arena::new(gpu, self.layout);
        let mut named = vec![("x", tensor(&mut arena, &case.shape, Some(&case.x)))];
        if !self.in_place {
            named.push(("y", tensor(&mut arena, &case.shape, None)));
        }
        self.parameters(&mut arena, &mut named, true);
        if let Some(residual) = self.added() {
            named.push(("residual", tensor(&mut arena, &case.shape, Some(residual))));
        }
        let channels = u64::from(case.shape.channels());
        if let Some(running) = options.running {
            self.of_running(&mut arena, &mut named, running);
        }
        named.push(("saved", arena.output(SavedStatistics::SIZE * channels)));
        named.push(("workspace", arena.output(layer.workspace_size())));
        let slots = Slots { named };
        let ranges = slots.ranges(&arena);
        let y = if self.in_place { "x" } else { "y" };
        submit(gpu, |encoder| {
            let buffers = TrainingBuffers {
                x: slots.given(&ranges, "x"),
                y: slots.given(&ranges, y),
                gamma: slots.binding(&ranges, "gamma"),
                beta: slots.binding(&ranges, "beta"),
                residual: slots.binding(&ranges, "residual"),
                running_mean: slots.binding(&ranges, "running_mean"),
                running_var: slots.binding(&ranges, "running_var"),
                new_running_mean: slots.binding(&ranges, "new_running_mean"),
                new_running_var: slots.binding(&ranges, "new_running_var"),
                counters: slots.binding(&ranges, "counters"),
                saved: slots.given(&ranges, "saved"),
                workspace: slots.given(&ranges, "workspace"),
            };
            layer.encode(encoder, &buffers).expect("encode training");
        });
        let [mean, var] = updated(&slots);
        let memory = arena.read(&slots.written(&[y, mean, var, "counters", "saved", "workspace"]));
        let saved: Vec<SavedStatistics> = memory.records(slots.slot("saved"));
        if case.shape.is_empty() {
            // Nothing has been seen: the running statistics are the old ones, wherever they are now.
            let none = reference::statistics(&case.shape, &case.x).expect("lengths");
            let followed =
                options.running.map(|running| self.check_followed(&none, running, &slots, &memory));
            return followed.unwrap_or(Ok(())).map(|()| saved);
        }
        let statistics = reference::statistics(&case.shape, &case.x).expect("lengths");
        // What is NaN has no bound; y and the running statistics show it.
        if statistics.variance.iter().all(|variance| variance.is_finite()) {
            check::saved(&statistics, f64::from(options.eps), &saved)?;
        }
        let forward = self.forward(statistics);
        self.check_y(&forward, &self.tensor_of(&memory, slots.slot(y)))?;
        if let Some(running) = options.running {
            self.check_followed(&forward.statistics, running, &slots, &memory)?;
        }
        Ok(saved)
    }

    /// The update on its own, of what a forward pass should have saved.
    pub fn update(&self, gpu: &Gpu, operation: &RunningUpdate) -> Verdict {
        let (case, running) = (&self.case, self.layer.running.expect("running statistics"));
        let mut arena = Arena::new(gpu, self.layout);
        let mut named = vec![("saved", arena.input(bytemuck::cast_slice(&case.saved(self.layer.eps))))];
        self.of_running(&mut arena, &mut named, running);
        let slots = Slots { named };
        let ranges = slots.ranges(&arena);
        submit(gpu, |encoder| {
            let buffers = RunningUpdateBuffers {
                saved: slots.given(&ranges, "saved"),
                running_mean: slots.given(&ranges, "running_mean"),
                running_var: slots.given(&ranges, "running_var"),
                new_running_mean: slots.binding(&ranges, "new_running_mean"),
                new_running_var: slots.binding(&ranges, "new_running_var"),
                counters: slots.binding(&ranges, "counters"),
            };
            operation.encode(encoder, &buffers).expect("encode the update");
        });
        let [mean, var] = updated(&slots);
        let memory = arena.read(&slots.written(&[mean, var, "counters"]));
        let batch = reference::statistics(&case.shape, &case.x).expect("lengths");
        self.check_followed(&batch, running, &slots, &memory)
    }

    fn of_running(
        &self,
        arena: &mut Arena<'_>,
        named: &mut Vec<(&'static str, Slot)>,
        running: RunningStatistics,
    ) {
        let channels = u64::from(self.case.shape.channels());
        named.push(("running_mean", parameter(arena, &self.case.running.mean)));
        named.push(("running_var", parameter(arena, &self.case.running.variance)));
        if running.target == RunningTarget::Fresh {
            named.push(("new_running_mean", arena.output(4 * channels)));
            named.push(("new_running_var", arena.output(4 * channels)));
        }
        if running.needs_counters() {
            named.push(("counters", arena.input(bytemuck::cast_slice(&self.counters()))));
        }
    }

    /// Those of some batches before.
    fn counters(&self) -> Vec<RunningCounters> {
        vec![RunningCounters { updates: 3, skipped: 1 }; self.case.shape.channels() as usize]
    }

    fn check_followed(
        &self,
        batch: &Statistics,
        running: RunningStatistics,
        slots: &Slots,
        memory: &Memory,
    ) -> Verdict {
        let case = &self.case;
        let followed = reference::follow(&case.shape, &case.running, &self.counters(), batch, &running);
        let (expected, counted) = followed.expect("lengths");
        // The fourth update of a cumulative average.
        let weight = running.momentum.weight().map_or(0.25, f64::from);
        let values = updated(slots).map(|name| memory.f32(slots.slot(name)));
        self.check_running(batch, &expected, weight, [&values[0], &values[1]])?;
        if slots.has("counters") {
            let counters: Vec<RunningCounters> = memory.records(slots.slot("counters"));
            if counters != counted {
                return Err(format!("counters: {counters:?}, needs {counted:?}"));
            }
        }
        Ok(())
    }

    /// Four roundings of the two terms, beside what the batch's own are off by.
    fn check_running(
        &self,
        batch: &Statistics,
        expected: &Statistics,
        weight: f64,
        [mean, variance]: [&[f64]; 2],
    ) -> Verdict {
        let (case, m) = (&self.case, f64::from(self.case.shape.values_per_channel()));
        let terms = |old: f64, new: f64| 6.0 * U * (((1.0 - weight) * old).abs() + (weight * new).abs());
        let compare = |name: &str, actual: &[f64], expected: &[f64], bound: &dyn Fn(usize) -> f64| {
            let comparison = compare(actual, expected, bound);
            if comparison.passed() { Ok(()) } else { Err(format!("{name}: {comparison}")) }
        };
        compare("running mean", mean, &expected.mean, &|c| {
            let new = batch.mean[c];
            known(terms(case.running.mean[c], new) + weight.abs() * check::mean_bound(new, batch.variance[c]))
        })?;
        compare("running variance", variance, &expected.variance, &|c| {
            let new = batch.variance[c] * m / (m - 1.0);
            known(terms(case.running.variance[c], new) + weight.abs() * 4e-6 * new)
        })
    }

    pub fn inference(&self, gpu: &Gpu, layer: &Inference) -> Verdict {
        let case = &self.case;
        let mut arena = Arena::new(gpu, self.layout);
        let mut named = vec![("x", tensor(&mut arena, &case.shape, Some(&case.x)))];
        if !self.in_place {
            named.push(("y", tensor(&mut arena, &case.shape, None)));
        }
        self.parameters(&mut arena, &mut named, true);
        if let Some(residual) = self.added() {
            named.push(("residual", tensor(&mut arena, &case.shape, Some(residual))));
        }
        named.push(("running_mean", parameter(&mut arena, &case.running.mean)));
        named.push(("running_var", parameter(&mut arena, &case.running.variance)));
        let slots = Slots { named };
        let ranges = slots.ranges(&arena);
        let y = if self.in_place { "x" } else { "y" };
        submit(gpu, |encoder| {
            let buffers = InferenceBuffers {
                x: slots.given(&ranges, "x"),
                y: slots.given(&ranges, y),
                gamma: slots.binding(&ranges, "gamma"),
                beta: slots.binding(&ranges, "beta"),
                running_mean: slots.given(&ranges, "running_mean"),
                running_var: slots.given(&ranges, "running_var"),
                residual: slots.binding(&ranges, "residual"),
            };
            layer.encode(encoder, &buffers).expect("encode inference");
        });
        let memory = arena.read(&slots.written(&[y]));
        let forward = self.forward(case.running.clone());
        self.check_y(&forward, &self.tensor_of(&memory, slots.slot(y)))
    }

    pub fn backward(&self, gpu: &Gpu, layer: &Backward, saved: &[SavedStatistics]) -> Verdict {
        let case = &self.case;
        let mut arena = Arena::new(gpu, self.layout);
        let mut named = vec![
            ("x", tensor(&mut arena, &case.shape, Some(&case.x))),
            ("saved", arena.input(bytemuck::cast_slice(saved))),
        ];
        self.of_backward(&mut arena, &mut named);
        named.push(("workspace", arena.output(layer.workspace_size())));
        let slots = Slots { named };
        let ranges = slots.ranges(&arena);
        let dx = self.dx();
        submit(gpu, |encoder| {
            let buffers = BackwardBuffers {
                x: slots.given(&ranges, "x"),
                dy: slots.given(&ranges, "dy"),
                saved: slots.given(&ranges, "saved"),
                residual: slots.binding(&ranges, "residual"),
                gamma: slots.binding(&ranges, "gamma"),
                beta: slots.binding(&ranges, "beta"),
                dx: self.gradients.dx.then(|| slots.given(&ranges, dx)),
                dresidual: slots.binding(&ranges, "dresidual"),
                dgamma: slots.binding(&ranges, "dgamma"),
                dbeta: slots.binding(&ranges, "dbeta"),
                workspace: slots.given(&ranges, "workspace"),
            };
            layer.encode(encoder, &buffers).expect("encode backward");
        });
        let memory = arena.read(&self.written(&slots));
        let forward = self.forward(reference::statistics(&case.shape, &case.x).expect("lengths"));
        Expected::new(self, &forward, false).check(case, &self.results(&slots, &memory))
    }

    pub fn frozen_backward(&self, gpu: &Gpu, layer: &FrozenBackward) -> Verdict {
        let forward = self.forward(self.case.running.clone());
        Expected::new(self, &forward, true).check(&self.case, &self.frozen_gradients(gpu, layer))
    }

    /// The results, unchecked.
    pub fn frozen_gradients(&self, gpu: &Gpu, layer: &FrozenBackward) -> Differentiated {
        let case = &self.case;
        let mut arena = Arena::new(gpu, self.layout);
        let mut named = vec![
            ("running_mean", parameter(&mut arena, &case.running.mean)),
            ("running_var", parameter(&mut arena, &case.running.variance)),
        ];
        if self.gradients.dgamma || self.acts() {
            named.push(("x", tensor(&mut arena, &case.shape, Some(&case.x))));
        }
        self.of_backward(&mut arena, &mut named);
        named.push(("workspace", arena.output(layer.workspace_size())));
        let slots = Slots { named };
        let ranges = slots.ranges(&arena);
        let dx = self.dx();
        submit(gpu, |encoder| {
            let buffers = FrozenBackwardBuffers {
                x: slots.binding(&ranges, "x"),
                dy: slots.given(&ranges, "dy"),
                residual: slots.binding(&ranges, "residual"),
                running_mean: slots.given(&ranges, "running_mean"),
                running_var: slots.given(&ranges, "running_var"),
                gamma: slots.binding(&ranges, "gamma"),
                beta: slots.binding(&ranges, "beta"),
                dx: self.gradients.dx.then(|| slots.given(&ranges, dx)),
                dresidual: slots.binding(&ranges, "dresidual"),
                dgamma: slots.binding(&ranges, "dgamma"),
                dbeta: slots.binding(&ranges, "dbeta"),
                workspace: slots.given(&ranges, "workspace"),
            };
            layer.encode(encoder, &buffers).expect("encode frozen backward");
        });
        self.results(&slots, &arena.read(&self.written(&slots)))
    }

    fn dx(&self) -> &'static str {
        if self.in_place { "dy" } else { "dx" }
    }

    fn written(&self, slots: &Slots) -> Vec<Slot> {
        let dx = if self.gradients.dx { self.dx() } else { "none" };
        slots.written(&[dx, "dresidual", "dgamma", "dbeta", "workspace"])
    }

    fn parameters(&self, arena: &mut Arena<'_>, named: &mut Vec<(&'static str, Slot)>, beta: bool) {
        if self.layer.affine.has_gamma() {
            named.push(("gamma", parameter(arena, &self.case.gamma)));
        }
        if self.layer.affine.has_beta() && beta {
            named.push(("beta", parameter(arena, &self.case.beta)));
        }
    }

    fn of_backward(&self, arena: &mut Arena<'_>, named: &mut Vec<(&'static str, Slot)>) {
        let (case, gradients) = (&self.case, self.gradients);
        named.push(("dy", tensor(arena, &case.shape, Some(&case.dy))));
        if self.acts() || gradients.dx {
            self.parameters(arena, named, self.acts());
        }
        if let (Some(residual), true) = (self.added(), self.acts()) {
            named.push(("residual", tensor(arena, &case.shape, Some(residual))));
        }
        if gradients.dx && !self.in_place {
            named.push(("dx", tensor(arena, &case.shape, None)));
        }
        if gradients.dresidual {
            named.push(("dresidual", tensor(arena, &case.shape, None)));
        }
        for (name, asked) in [("dgamma", gradients.dgamma), ("dbeta", gradients.dbeta)] {
            if asked {
                named.push((name, arena.output(4 * u64::from(case.shape.channels()))));
            }
        }
    }

    fn results(&self, slots: &Slots, memory: &Memory) -> Differentiated {
        let tensor = |name: &str| slots.has(name).then(|| self.tensor_of(memory, slots.slot(name)));
        let channels = |name: &str| slots.has(name).then(|| memory.f32(slots.slot(name)));
        Differentiated {
            dx: if self.gradients.dx { tensor(self.dx()) } else { None },
            dresidual: tensor("dresidual"),
            dgamma: channels("dgamma"),
            dbeta: channels("dbeta"),
        }
    }

    fn tensor_of(&self, memory: &Memory, slot: Slot) -> Vec<f64> {
        data::decode(&self.case.shape, memory.words(slot))
    }
}
