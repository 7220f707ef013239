//! One network, from its first step to its last, or from where it was left.

use std::path::Path;
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::Tensor;
use burn::tensor::loss::cross_entropy_with_logits;
use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;
use crate::checkpoint::{self, Checkpoint};
use crate::data::images::Dataset;
use crate::distortion::plain;
use crate::feed::Feed;
use crate::gpu::Gpu;
use crate::interrupt::Interrupt;
use crate::network::Network;
use crate::progress::Progress;
use crate::random::Random;
use crate::recipe::{MOMENTUM, Recipe};
use crate::run_error::RunError;
use crate::score::{Score, one_hot};
use crate::unit::Between;
use crate::weights::Weights;

/// What all runs have in common.
#[derive(Clone, Copy, Debug)]
pub struct Bench<'a> {
    pub gpu: &'a Gpu,
    pub data: &'a Dataset,
    pub architecture: &'a Architecture,
    pub batch: usize,
    /// The length of a whole run, which the decay of rates goes by.
    pub steps: usize,
    /// Steps between two looks at the test images.
    pub every: usize,
    pub out: &'a Path,
    pub interrupt: &'a Interrupt,
}

/// One of them.
#[derive(Debug)]
pub struct Run<'a> {
    /// Of its file, and of its bar.
    pub name: String,
    pub recipe: &'a Recipe,
    pub seed: u64,
    /// Fewer than those of the bench in the search for a rate.
    pub steps: usize,
}

/// All of a run that is neither weight nor optimizer.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    step: usize,
    finished: bool,
    curve: Vec<Score>,
}

/// What a kill may cost. A checkpoint reads every tensor on its own, which takes as long as some steps.
const CHECKPOINT: Duration = Duration::from_secs(20);

/// Purpose of random numbers.
const WEIGHTS: u64 = 0;

/// Test images in one batch.
const TEST_BATCH: usize = 250;

impl Bench<'_> {
    /// The scores of a run, which is carried on, or was finished before.
    pub fn train(&self, run: &Run<'_>) -> Result<Vec<Score>, RunError> {
        let checkpoint =
            Checkpoint { path: checkpoint::path(self.out, &run.name), settings: self.settings(run) };
        let saved = checkpoint.load::<State>()?;
        if let Some(saved) = &saved
            && saved.progress.finished
        {
            return Ok(saved.progress.curve.clone());
        }
        let (mut network, mut optimizer) = self.start(run);
        let mut state = State::default();
        if let Some(mut saved) = saved {
            state = std::mem::take(&mut saved.progress);
            (network, optimizer) = saved.restore(network, optimizer)?;
        }

        let device = self.gpu.device.clone().autodiff();
        let recipe = run.recipe;
        let features = network.features();
        let mut feed = Feed::new(&self.data.train, run.seed, self.batch, recipe.reshuffle, recipe.distortion);
        let mut progress = Progress::new(&run.name, state.step, run.steps);
        let mut said = String::new();
        let mut saved_at = Instant::now();
        while !state.finished {
            if self.interrupt.wanted() {
                checkpoint.save(&state, network, &optimizer)?;
                return Err(RunError::Interrupted);
            }
            let (images, labels) = feed.batch(state.step);
            let kept = (recipe.keep < 1.0)
                .then(|| Tensor::from_data(feed.kept(state.step, features, recipe.keep), &device));
            let logits = network.forward(Tensor::from_data(images, &device), kept);
            let loss = cross_entropy_with_logits(logits, Tensor::from_data(one_hot(&labels), &device));
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = optimizer.step(recipe.rate_at(state.step, self.steps), network, gradients);
            state.step += 1;

            let last = state.step == run.steps;
            if last || state.step.is_multiple_of(self.every) {
                let score = self.score(&network, state.step)?;
                said = score.describe();
                // What is not finite does not come back: every later score would be the same.
                state.finished = last || score.loss.is_none();
                state.curve.push(score);
                if state.finished || saved_at.elapsed() >= CHECKPOINT {
                    checkpoint.save(&state, network.clone(), &optimizer)?;
                    saved_at = Instant::now();
                }
            }
            progress.at(state.step, &said);
        }
        progress.end(state.step, &said);
        Ok(state.curve)
    }

    fn start(&self, run: &Run<'_>) -> (Network, ModuleOptimizer) {
        let device = self.gpu.device.clone().autodiff();
        let Recipe { normalize, sigmoid, respond, l2, .. } = *run.recipe;
        let mut weights = Weights { device: &device, random: Random::new(&[run.seed, WEIGHTS]) };
        let between = Between { normalize, sigmoid };
        let network = Network::new(&mut weights, self.architecture, between, respond, &self.data.train);
        let optimizer = SgdConfig::new()
            // Burn dampens by 0.1 unless told otherwise.
            .with_momentum(Some(MomentumConfig::new().with_momentum(MOMENTUM).with_dampening(0.0)))
            .with_weight_decay(Some(WeightDecayConfig::new(l2 as f32)))
            .init();
        (network, optimizer)
    }

    /// As the network stands, on all test images, by running statistics.
    fn score(&self, network: &Network, step: usize) -> Result<Score, RunError> {
        let network = network.valid();
        let moments = self.data.train.moments();
        let mut score = Score::new(step);
        for first in (0..self.data.test.len()).step_by(TEST_BATCH) {
            let count = TEST_BATCH.min(self.data.test.len() - first);
            let (images, labels) = plain(&self.data.test, moments, first, count);
            let logits = network.forward(Tensor::from_data(images, &self.gpu.device), None);
            score.add(logits, labels).map_err(RunError::Device)?;
        }
        Ok(score)
    }

    fn settings(&self, run: &Run<'_>) -> Vec<String> {
        let mut settings = vec![
            format!("data {}", self.data.name),
            format!("training images {}", self.data.train.len()),
            format!("test images {}", self.data.test.len()),
            format!("network {:?}", self.architecture),
            format!("batch {}", self.batch),
            format!("steps {} of {}", run.steps, self.steps),
            format!("tested every {}", self.every),
            format!("seed {}", run.seed),
            format!("device {}", self.gpu.name),
        ];
        settings.extend(run.recipe.settings());
        settings
    }
}
