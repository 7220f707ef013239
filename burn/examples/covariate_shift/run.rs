//! One network, from its first step to its last, or from where it was left.

use std::path::Path;
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::loss::cross_entropy_with_logits;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::checkpoint::{self, Checkpoint};
use crate::data::images::{Dataset, Images};
use crate::gpu::Gpu;
use crate::interrupt::Interrupt;
use crate::network::{Network, Output, UNITS};
use crate::order::Order;
use crate::percentiles::{Percentiles, percentiles};
use crate::progress::Progress;
use crate::random::Random;
use crate::run_error::RunError;
use crate::score::{Score, one_hot};
use crate::weights::Weights;

/// What all runs have in common.
#[derive(Debug)]
pub struct Bench<'a> {
    pub gpu: &'a Gpu,
    pub data: &'a Dataset,
    pub steps: usize,
    /// Steps between two looks at the test images.
    pub every: usize,
    pub rate: f64,
    pub out: &'a Path,
    pub interrupt: &'a Interrupt,
}

/// The network after some steps.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Look {
    pub score: Score,
    /// Of the inputs to each sigmoid of the last hidden layer.
    pub percentiles: Vec<Percentiles>,
}

/// Of one run.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub network: &'static str,
    pub normalize: bool,
    pub seed: u64,
}

impl Run {
    /// Of its file, and of its bar.
    pub fn name(&self) -> String {
        format!("{} seed {}", self.network, self.seed)
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    step: usize,
    finished: bool,
    looks: Vec<Look>,
}

/// Of all that decides a run and is no option: the network, its first weights, the order of images, what is looked at.
/// One more whenever any of it changes, so that no run is continued by a program that would have begun it differently.
const RECIPE: u32 = 2;

/// The paper's.
pub const BATCH: usize = 60;

/// What a kill may cost. A checkpoint reads every tensor on its own, which takes as long as many steps.
const CHECKPOINT: Duration = Duration::from_secs(10);

/// Purpose of random numbers.
const WEIGHTS: u64 = 0;

/// Values above it are 1, others 0: the paper's images are binary.
const THRESHOLD: u8 = 127;

impl Bench<'_> {
    /// The looks at a run, which is carried on, or was finished before.
    pub fn train(&self, run: Run) -> Result<Vec<Look>, RunError> {
        let name = run.name();
        let checkpoint = Checkpoint { path: checkpoint::path(self.out, &name), settings: self.settings(run) };
        let saved = checkpoint.load::<State>()?;
        let device = self.gpu.device.clone().autodiff();
        let mut weights = Weights { device: &device, random: Random::new(&[run.seed, WEIGHTS]) };
        let mut network = Network::new(&mut weights, self.data.train.size(), run.normalize);
        let mut optimizer = SgdConfig::new().init();
        let mut state = State::default();
        if let Some(mut saved) = saved {
            state = std::mem::take(&mut saved.progress);
            if state.finished {
                return Ok(state.looks);
            }
            (network, optimizer) = saved.restore(network, optimizer)?;
        }
        if state.looks.is_empty() {
            state.looks.push(self.look(&network, 0)?);
        }

        let mut order = Order::new(self.data.train.len(), run.seed, true);
        let mut progress = Progress::new(&name, state.step, self.steps);
        let mut said = String::new();
        let mut saved_at = Instant::now();
        while !state.finished {
            if self.interrupt.wanted() {
                checkpoint.save(&state, network, &optimizer)?;
                return Err(RunError::Interrupted);
            }
            let chosen = order.batch(state.step, BATCH);
            let labels: Vec<u8> = chosen.iter().map(|&index| self.data.train.labels[index]).collect();
            let images = Tensor::from_data(binary(&self.data.train, chosen.iter().copied()), &device);
            let scores = network.forward(images).scores;
            let loss = cross_entropy_with_logits(scores, Tensor::from_data(one_hot(&labels), &device));
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = optimizer.step(self.rate, network, gradients);
            state.step += 1;

            let last = state.step == self.steps;
            if last || state.step.is_multiple_of(self.every) {
                let look = self.look(&network, state.step)?;
                said = look.score.describe();
                // What is not finite does not come back.
                state.finished = last || look.score.loss.is_none();
                state.looks.push(look);
                if state.finished || saved_at.elapsed() >= CHECKPOINT {
                    checkpoint.save(&state, network.clone(), &optimizer)?;
                    saved_at = Instant::now();
                }
            }
            progress.at(state.step, &said);
        }
        progress.end(state.step, &said);
        Ok(state.looks)
    }

    /// At all test images, with running statistics.
    fn look(&self, network: &Network, step: usize) -> Result<Look, RunError> {
        let test = &self.data.test;
        let images = Tensor::from_data(binary(test, 0..test.len()), &self.gpu.device);
        let Output { last_inputs, scores } = network.valid().forward(images);
        let mut score = Score::new(step);
        score.add(scores, &test.labels).map_err(RunError::Device)?;
        let inputs: Vec<f32> =
            last_inputs.into_data().try_into_vec().map_err(|error| RunError::Device(format!("{error:?}")))?;
        Ok(Look { score, percentiles: percentiles(&inputs, UNITS) })
    }

    fn settings(&self, run: Run) -> Vec<String> {
        vec![
            format!("recipe {RECIPE}"),
            format!("data {}", self.data.name),
            format!("training images {}", self.data.train.len()),
            format!("test images {}", self.data.test.len()),
            format!("batch norm {}", run.normalize),
            format!("learning rate {}", self.rate),
            format!("steps {}", self.steps),
            format!("tested every {}", self.every),
            format!("seed {}", run.seed),
            format!("device {}", self.gpu.name),
        ]
    }
}

fn binary(images: &Images, chosen: impl ExactSizeIterator<Item = usize>) -> TensorData {
    let count = chosen.len();
    let value = |&value: &u8| f32::from(u8::from(value > THRESHOLD));
    let values: Vec<f32> = chosen.flat_map(|index| images.image(index).iter().map(value)).collect();
    TensorData::new(values, [count, images.size()])
}
