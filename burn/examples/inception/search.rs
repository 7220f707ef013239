//! The learning rate of Inception. The paper's 0.0015 is for its network, its data and its days of training; here it
//! is found for the network without batch norm, and the others get the paper's multiples of it.

use std::fmt::Write;

use crate::data::images::{Dataset, Images};
use crate::recipe::Recipe;
use crate::run::{Bench, Run};
use crate::run_error::RunError;
use crate::score::Score;
use crate::variant::Variant;

/// A factor of two apart: finer differences are less than those between seeds.
const START: [f64; 3] = [0.01, 0.02, 0.04];
const FACTOR: f64 = 2.0;

/// Where the search ends, whatever it found.
const LEAST: f64 = 0.0025;
const MOST: f64 = 0.64;

/// Part of a whole run that each rate gets.
const PART: usize = 2;

/// Images that a rate is judged by: of those to learn from, but for the search not learned from. The test images have
/// no say in the choice.
const HELD_OUT: usize = 1000;

/// A rate and how far it came; no score where there was no look.
pub type Tried = (f64, Option<Score>);

/// All images to learn from but the last ones, and these in place of the test images.
pub fn held_out(data: &Dataset) -> Dataset {
    let train = &data.train;
    // Of a small set not all.
    let rest = train.len() - HELD_OUT.min(train.len() / 5);
    let part = |range: std::ops::Range<usize>| Images {
        pixels: train.pixels[range.start * train.size()..range.end * train.size()].to_vec(),
        labels: train.labels[range].to_vec(),
        ..*train
    };
    Dataset {
        name: format!("{}, held out from number {rest}", data.name),
        train: part(0..rest),
        test: part(rest..train.len()),
    }
}

/// Names of all runs that a search may make.
pub fn names(seed: u64) -> impl Iterator<Item = String> {
    std::iter::successors(Some(LEAST), |rate| Some(FACTOR * rate))
        .take_while(|&rate| rate <= MOST)
        .map(move |rate| name(rate, seed))
}

fn name(rate: f64, seed: u64) -> String {
    format!("search {rate} seed {seed}")
}

/// What was tried, by rate. `bench` has the data of `held_out`.
pub fn search(bench: &Bench<'_>, seed: u64) -> Result<Vec<Tried>, RunError> {
    extend(|rate| {
        let recipe = Recipe::new(Variant::Inception, rate, &[]);
        let run = Run { name: name(rate, seed), recipe: &recipe, seed, steps: length(bench.steps) };
        Ok(bench.train(&run)?.last().copied())
    })
}

/// Tries the first rates, and then more until the best has tried neighbours on both sides.
fn extend<E>(mut attempt: impl FnMut(f64) -> Result<Option<Score>, E>) -> Result<Vec<Tried>, E> {
    let mut tried: Vec<Tried> = Vec::new();
    for rate in START {
        tried.push((rate, attempt(rate)?));
    }
    loop {
        let (lowest, highest) = (tried[0].0, tried[tried.len() - 1].0);
        let best = best_of(&tried).map_or(lowest, |best| best.0);
        if best == lowest && lowest / FACTOR >= LEAST {
            tried.insert(0, (lowest / FACTOR, attempt(lowest / FACTOR)?));
        } else if best == highest && highest * FACTOR <= MOST {
            tried.push((highest * FACTOR, attempt(highest * FACTOR)?));
        } else {
            return Ok(tried);
        }
    }
}

/// The least loss. None where none is finite.
fn best_of(tried: &[Tried]) -> Option<Tried> {
    let loss = |tried: &Tried| tried.1.and_then(|score| score.loss).unwrap_or(f32::INFINITY);
    let best = tried.iter().min_by(|a, b| loss(a).total_cmp(&loss(b)));
    best.filter(|best| loss(best).is_finite()).copied()
}

/// The best rate.
pub fn base_rate(tried: &[Tried]) -> Result<f64, String> {
    best_of(tried).map(|best| best.0).ok_or_else(|| {
        format!("--rate: is not given, and no rate from {LEAST} up that was tried stays finite; it needs to be given")
    })
}

fn length(steps: usize) -> usize {
    (steps / PART).max(1)
}

/// What was tried, a line each.
pub fn describe(base: f64, tried: &[Tried], images: usize, steps: usize) -> String {
    let mut text = format!(
        "learning rate of Inception: {base}, the least loss on {images} images held out after {} steps\n",
        length(steps)
    );
    for (rate, score) in tried {
        let _ = writeln!(text, "  {rate:<6} {}", score.map_or_else(String::new, |score| score.describe()));
    }
    if base <= LEAST || base >= MOST {
        text += "  at the edge of what is searched: a rate beyond it may be better\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::clutter::CLUTTERED;
    use crate::digits::render;

    /// The rates that are tried, and the one that is found, for a loss.
    fn found(loss: impl Fn(f64) -> Option<f32>) -> (Vec<f64>, Option<f64>) {
        let attempt =
            |rate| Ok::<_, Infallible>(Some(Score { step: 1, right: 0, total: 1, loss: loss(rate) }));
        let Ok(tried) = extend(attempt);
        (tried.iter().map(|tried| tried.0).collect(), base_rate(&tried).ok())
    }

    #[test]
    fn the_best_rate_has_neighbours() {
        let near = |best: f64| move |rate: f64| Some((rate / best).ln().abs() as f32);
        assert_eq!(found(near(0.02)), (vec![0.01, 0.02, 0.04], Some(0.02)));
        assert_eq!(found(near(0.005)), (vec![0.0025, 0.005, 0.01, 0.02, 0.04], Some(0.005)));
        assert_eq!(found(near(0.08)), (vec![0.01, 0.02, 0.04, 0.08, 0.16], Some(0.08)));
    }

    #[test]
    fn the_search_ends() {
        assert_eq!(found(|rate| Some(-rate as f32)).0.last(), Some(&MOST));
        assert_eq!(found(|rate| Some(rate as f32)), (vec![0.0025, 0.005, 0.01, 0.02, 0.04], Some(LEAST)));
    }

    #[test]
    fn what_is_not_finite_is_worst() {
        let breaks = |rate: f64| (rate < 0.03).then_some(1.0 - rate as f32);
        assert_eq!(found(breaks).1, Some(0.02));
        assert_eq!(found(|rate| (rate < 0.003).then_some(9.0)).1, Some(0.0025));
        assert_eq!(found(|_| None), (vec![0.0025, 0.005, 0.01, 0.02, 0.04], None));
    }

    #[test]
    fn every_run_of_a_search_has_a_name_that_is_known() {
        let names: Vec<String> = names(7).collect();
        assert_eq!(names.len(), 9);
        for rate in found(|rate| Some(-rate as f32)).0 {
            assert!(names.contains(&name(rate, 7)), "{rate}");
        }
    }

    #[test]
    fn held_out_images_are_not_learned_from() {
        let images = render(&CLUTTERED, 1, 0, 50);
        let data = Dataset { name: "x".into(), train: images.clone(), test: images.clone().first(3) };
        let held = held_out(&data);
        assert_eq!((held.train.len(), held.test.len()), (40, 10));
        assert_eq!(held.test.image(0), images.image(40));
        assert_eq!([held.train.pixels, held.test.pixels].concat(), images.pixels);
    }
}
