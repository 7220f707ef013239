//! How hard a data set is: what a linear model reaches on it.

use crate::data::images::{CLASSES, Dataset, Images};
use crate::random::Random;

const EPOCHS: usize = 8;
const BATCH: usize = 50;
const RATE: f32 = 0.5;

/// How hard the data are, in words.
pub fn describe(data: &Dataset, seed: u64) -> String {
    let accuracy = 100.0 * accuracy(data, seed);
    format!("{}: a linear model is right about {accuracy:.1} % of the test images", data.describe())
}

/// The accuracy of softmax regression on the pixels, of 1, on test images.
fn accuracy(data: &Dataset, seed: u64) -> f64 {
    let size = data.train.size();
    let (mean, deviation) = data.train.moments();
    // A feature of variance 1 in `size` of them: the step is as long for images of any size.
    let scale = (deviation * (size as f32).sqrt()).recip();
    let features = |images: &Images, index: usize| -> Vec<f32> {
        images.image(index).iter().map(|&value| (f32::from(value) - mean) * scale).collect()
    };
    let mut weights = vec![[0.0_f32; CLASSES]; size + 1];
    let total = data.train.len().div_ceil(BATCH) * EPOCHS;
    let mut step = 0;
    for epoch in 0..EPOCHS {
        let order = Random::new(&[seed, epoch as u64]).permutation(data.train.len());
        for batch in order.chunks(BATCH) {
            let inputs: Vec<Vec<f32>> = batch.iter().map(|&index| features(&data.train, index)).collect();
            let errors: Vec<[f32; CLASSES]> = (inputs.iter().zip(batch))
                .map(|(input, &index)| {
                    let mut error = softmax(scores(&weights, input));
                    error[usize::from(data.train.labels[index])] -= 1.0;
                    error
                })
                .collect();
            let rate = RATE * (1.0 - step as f32 / total as f32) / batch.len() as f32 * BATCH as f32;
            for (input, error) in inputs.iter().zip(&errors) {
                for (weight, value) in weights.iter_mut().zip(input.iter().chain([&1.0])) {
                    for class in 0..CLASSES {
                        weight[class] -= rate * value * error[class];
                    }
                }
            }
            step += 1;
        }
    }
    let right = (0..data.test.len()).filter(|&index| {
        let scores = scores(&weights, &features(&data.test, index));
        let best = (0..CLASSES).max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        best == Some(usize::from(data.test.labels[index]))
    });
    right.count() as f64 / data.test.len() as f64
}

fn scores(weights: &[[f32; CLASSES]], input: &[f32]) -> [f32; CLASSES] {
    let mut scores = [0.0; CLASSES];
    for (weight, value) in weights.iter().zip(input.iter().chain([&1.0])) {
        for class in 0..CLASSES {
            scores[class] += weight[class] * value;
        }
    }
    scores
}

fn softmax(scores: [f32; CLASSES]) -> [f32; CLASSES] {
    let largest = scores.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let powers = scores.map(|score| (score - largest).exp());
    let sum: f32 = powers.iter().sum();
    powers.map(|power| power / sum)
}
