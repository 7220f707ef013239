//! How a network is taught, and what the paper changes about that to make use of batch norm.

use crate::variant::Variant;

/// What section 4.2.1 of the paper changes beside batch norm and the learning rate. Each on its own can be turned back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// None at all.
    Dropout,
    /// No local response normalization.
    Response,
    /// A fifth of the weight decay.
    L2,
    /// The rate falls six times faster.
    Decay,
    /// The same images no longer meet in a batch again and again.
    Shuffle,
    /// Milder photometric distortion: each image is seen less often.
    Distortion,
}

impl Change {
    pub const ALL: [Self; 6] =
        [Self::Dropout, Self::Response, Self::L2, Self::Decay, Self::Shuffle, Self::Distortion];

    pub fn name(self) -> &'static str {
        match self {
            Self::Dropout => "dropout",
            Self::Response => "lrn",
            Self::L2 => "l2",
            Self::Decay => "decay",
            Self::Shuffle => "shuffle",
            Self::Distortion => "distortion",
        }
    }
}

/// All that decides a run, but for the network's size, the data and the seed.
#[derive(Clone, Debug)]
pub struct Recipe {
    pub normalize: bool,
    pub sigmoid: bool,
    pub rate: f64,
    /// Of the features before the linear layer; 1 is none.
    pub keep: f32,
    pub respond: bool,
    pub l2: f64,
    /// What is left of the rate at the end.
    pub decay: f64,
    pub reshuffle: bool,
    /// 1 is the original's strength.
    pub distortion: f32,
}

/// Of all that decides a run and is neither option nor below: how weights begin, where response normalization stands,
/// what distortion does. One more whenever any of it changes, so that no run is continued by a program that would have
/// begun it differently.
const VERSION: u32 = 2;

pub const MOMENTUM: f64 = 0.9;
/// GoogLeNet drops 40 % before the linear layer, of ten times as many features as here.
pub const KEEP: f32 = 0.8;
/// As in GoogLeNet's public replica in Caffe.
const L2: f64 = 2e-4;
/// What is left of the rate at the end of a run, whatever its length; with the six times faster decay of the paper,
/// 12 %. A rate that falls to 12 % helps any network at the end of a short run: `--undo decay` is the control.
pub const DECAY: f64 = 0.7;
/// Of the original's strength.
pub const MILDER: f32 = 0.3;

impl Recipe {
    /// `base` is the rate of Inception, `undone` are changes not to be made.
    pub fn new(variant: Variant, base: f64, undone: &[Change]) -> Self {
        let changed = |change| variant.accelerated() && !undone.contains(&change);
        let pick = |change, after: f64, before: f64| if changed(change) { after } else { before };
        Self {
            normalize: variant.normalize(),
            sigmoid: variant.sigmoid(),
            rate: base * variant.rate(),
            keep: if changed(Change::Dropout) { 1.0 } else { KEEP },
            respond: !changed(Change::Response),
            l2: pick(Change::L2, L2 / 5.0, L2),
            decay: pick(Change::Decay, DECAY.powi(6), DECAY),
            reshuffle: changed(Change::Shuffle),
            distortion: if changed(Change::Distortion) { MILDER } else { 1.0 },
        }
    }

    /// The rate of a step, where the last would be number `steps`.
    pub fn rate_at(&self, step: usize, steps: usize) -> f64 {
        self.rate * self.decay.powf(step as f64 / steps as f64)
    }

    /// Of the first step, and after the last.
    pub fn rates(&self) -> [f64; 2] {
        [self.rate, self.rate * self.decay]
    }

    /// One setting a line.
    pub fn settings(&self) -> Vec<String> {
        let Self { normalize, sigmoid, rate, keep, respond, l2, decay, reshuffle, distortion } = self;
        vec![
            format!("recipe {VERSION}"),
            format!("batch norm {normalize}"),
            format!("sigmoid {sigmoid}"),
            format!("learning rate {rate}"),
            format!("momentum {MOMENTUM}"),
            format!("features kept {keep}"),
            format!("local response normalization {respond}"),
            format!("l2 {l2}"),
            format!("decay {decay}"),
            format!("full shuffle {reshuffle}"),
            format!("distortion {distortion}"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_can_be_turned_back_alone() {
        let changed = Recipe::new(Variant::BnX5, 0.01, &[]).settings();
        let mut plain = Recipe::new(Variant::Inception, 0.01, &[]).settings();
        for (plain, changed) in plain.iter_mut().zip(&changed) {
            if plain.starts_with("batch norm ") || plain.starts_with("learning rate ") {
                plain.clone_from(changed);
            }
        }
        assert_eq!(Recipe::new(Variant::BnX5, 0.01, &Change::ALL).settings(), plain);
        for change in Change::ALL {
            let back = Recipe::new(Variant::BnX5, 0.01, &[change]).settings();
            let differing = changed.iter().zip(&back).filter(|(a, b)| a != b).count();
            assert_eq!(differing, 1, "{change:?}");
        }
    }

    #[test]
    fn rates_fall_six_times_faster_from_bn_x5_on() {
        let [first, last] = Recipe::new(Variant::BnX5, 0.01, &[]).rates();
        assert!((last / first - DECAY.powi(6)).abs() < 1e-12);
        let [first, last] = Recipe::new(Variant::BnX5, 0.01, &[Change::Decay]).rates();
        assert!((last / first - DECAY).abs() < 1e-12);
    }

    #[test]
    fn changes_leave_the_original_alone() {
        let original = Recipe::new(Variant::Inception, 0.01, &[]).settings();
        assert_eq!(Recipe::new(Variant::Inception, 0.01, &Change::ALL).settings(), original);
    }

    #[test]
    fn the_baseline_differs_by_batch_norm_alone() {
        let original = Recipe::new(Variant::Inception, 0.01, &[]).settings();
        let baseline = Recipe::new(Variant::BnBaseline, 0.01, &[]).settings();
        let differing: Vec<_> = original.iter().zip(&baseline).filter(|(a, b)| a != b).collect();
        assert_eq!(differing, [(&"batch norm false".to_owned(), &"batch norm true".to_owned())]);
    }
}
