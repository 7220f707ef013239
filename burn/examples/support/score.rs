//! What a network gets right.

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::data::images::CLASSES;

/// Of a network on test images, after some steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    pub step: usize,
    pub right: usize,
    pub total: usize,
    /// Mean cross entropy; none where it is not finite. An f32, which JSON brings back bit for bit.
    pub loss: Option<f32>,
}

impl Score {
    /// Nothing seen yet.
    pub fn new(step: usize) -> Self {
        Self { step, right: 0, total: 0, loss: Some(0.0) }
    }

    /// A batch more.
    pub fn add(&mut self, logits: Tensor<2>, labels: &[u8]) -> Result<(), String> {
        let scores: Vec<f32> = logits.into_data().try_into_vec().map_err(|error| format!("{error:?}"))?;
        let mut sum = self.loss.map(|loss| f64::from(loss) * self.total as f64);
        for (scores, &label) in scores.chunks_exact(CLASSES).zip(labels) {
            let label = usize::from(label);
            self.right += usize::from(is_answer(scores, label));
            let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let powers: f64 = scores.iter().map(|&score| f64::from(score - largest).exp()).sum();
            let loss = powers.ln() - f64::from(scores[label] - largest);
            sum = sum.filter(|_| loss.is_finite()).map(|sum| sum + loss);
            self.total += 1;
        }
        self.loss = sum.map(|sum| (sum / self.total as f64) as f32);
        Ok(())
    }

    pub fn accuracy(&self) -> f64 {
        self.right as f64 / self.total.max(1) as f64
    }

    /// For a line of progress.
    pub fn describe(&self) -> String {
        match self.loss {
            Some(loss) => format!("accuracy {:.1} %, loss {loss:.3}", 100.0 * self.accuracy()),
            None => format!("accuracy {:.1} %, not finite", 100.0 * self.accuracy()),
        }
    }
}

/// Whether the label is the first of the classes with the largest score. One that is not a number is above none: such a
/// network is right about nothing.
fn is_answer(scores: &[f32], label: usize) -> bool {
    let (before, after) = scores.split_at(label);
    before.iter().all(|score| scores[label] > *score) && after.iter().all(|score| scores[label] >= *score)
}

/// A row for each label, 1 at its place.
pub fn one_hot(labels: &[u8]) -> TensorData {
    let mut rows = vec![0.0_f32; labels.len() * CLASSES];
    for (row, &label) in rows.chunks_exact_mut(CLASSES).zip(labels) {
        row[usize::from(label)] = 1.0;
    }
    TensorData::new(rows, [labels.len(), CLASSES])
}

#[cfg(test)]
mod tests {
    use super::is_answer;

    #[test]
    fn of_equal_scores_the_first_is_the_answer() {
        let right =
            |scores: &[f32]| (0..scores.len()).filter(|&label| is_answer(scores, label)).collect::<Vec<_>>();
        assert_eq!(right(&[1.0, 3.0, 2.0]), [1]);
        assert_eq!(right(&[1.0, 3.0, 3.0]), [1]);
        assert_eq!(right(&[0.0; 3]), [0]);
        assert!(right(&[f32::NAN; 3]).is_empty());
    }
}
