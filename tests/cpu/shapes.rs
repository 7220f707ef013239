//! Every way to share the work out, and the sizes at its edges.

use wgpu_batchnorm::{Dtype, InferenceOptions, TrainingOptions};

use crate::support::case::Case;
use crate::support::check::{self, Data, hold, rounded_once};
use crate::support::run::{self, shape};

/// Both passes of training, and inference, within their bounds; f16 results are those of f32 rounded once.
fn holds(outer: usize, channels: usize, inner: usize, offset: f64) {
    let mut wide: Option<run::Trained> = None;
    for dtype in [Dtype::F16, Dtype::F32] {
        let shape = shape(outer, channels, inner, dtype);
        let case = Case::random(shape, 7, offset);
        let options = TrainingOptions::default();
        let (trained, _) = run::step(&case, &options, Data::Any).unwrap_or_else(|e| panic!("{shape}: {e}"));
        if dtype == Dtype::F16 {
            let (widened, _) = run::step(&case.widened(), &options, Data::Any).expect("the same in f32");
            hold(shape, rounded_once("y", &trained.y, &widened.y));
            assert_eq!(trained.saved, widened.saved, "{shape}");
            wide = Some(widened);
        }
        let options = InferenceOptions::default();
        hold(shape, check::inference(&case, &options, &run::inference(&case, &options).expect("inference")));
    }
    assert!(wide.is_some());
}

/// Runs of every length about those of vectors, over every number of channels, in one row or two.
#[test]
fn edges() {
    for inner in 1..=70 {
        for channels in [1, 3, 5, 17, 33, 100] {
            let outer = 1 + (inner + channels) % 3;
            if outer * inner > 1 {
                holds(outer, channels, inner, 3.0);
            }
        }
    }
}

/// Above what one thread does on its own: tiles of whole channels, channels in parts by rows and by pieces of a
/// plane, matrices of one tile and of several, narrow ones that are folded, short runs.
#[test]
fn divisions() {
    for (outer, channels, inner) in [
        (32, 70, 49),
        (3, 20, 4099),
        (40, 3, 900),
        (3, 5, 40_000),
        (1, 1, 300_001),
        (2, 17, 12_000),
        (1000, 9, 40),
        (5000, 64, 1),
        (700, 520, 1),
        (301, 1100, 1),
        (9001, 33, 1),
        (90_001, 3, 1),
        (300_001, 1, 1),
        (3, 50_001, 1),
        (1, 9000, 7),
        (70, 300, 5),
        (6001, 2, 3),
        (333, 65, 2),
    ] {
        holds(outer, channels, inner, 10.0);
    }
}

/// Outputs of 32 MiB and more take another way to memory: those in f32, and the last one in f16 as well.
#[test]
fn past_the_caches() {
    for (outer, channels, inner) in
        [(59, 3001, 49), (1, 17, 500_003), (16_200, 521, 1), (140_001, 61, 1), (17, 513, 2001)]
    {
        holds(outer, channels, inner, 10.0);
    }
}

/// A channel is the same whatever lies beside it, and the number of threads changes no bit.
#[test]
fn threads_change_nothing() {
    for (outer, channels, inner) in [(32, 70, 49), (3, 5, 40_000), (5000, 64, 1), (9001, 33, 1)] {
        let case = Case::random(shape(outer, channels, inner, Dtype::F32), 8, 1.0);
        let in_pool = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            pool.install(|| run::step(&case, &TrainingOptions::default(), Data::Plain).expect("a step"))
        };
        let alone = in_pool(1);
        assert!(in_pool(3) == alone && in_pool(8) == alone, "{}", case.shape);
    }
}
