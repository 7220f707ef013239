//! Counts launches by CubeCL's own observer, which sees ours like all others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cubecl::logging::{LaunchObservation, LaunchObserver};

#[derive(Default)]
struct Counter(AtomicUsize);

impl LaunchObserver for Counter {
    fn launched(&self, _: &'static str) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What `work` launches until it returns.
pub fn count(work: impl FnOnce()) -> usize {
    let counter = Arc::new(Counter::default());
    let observation = LaunchObservation::new(counter.clone());
    work();
    drop(observation);
    counter.0.load(Ordering::Relaxed)
}
