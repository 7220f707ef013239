//! Counts what Burn launches, by its own observer.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cubecl::logging::{LaunchObservation, LaunchObserver, TimingMethod, TimingRequest};

/// Every kernel that was launched, and for how long it ran where that was asked for.
#[derive(Default)]
struct Log {
    timed: bool,
    kernels: Mutex<BTreeMap<&'static str, (usize, Duration)>>,
}

impl Log {
    fn note(&self, kernel: &'static str, count: usize, duration: Duration) {
        let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = kernels.entry(kernel).or_default();
        entry.0 += count;
        entry.1 += duration;
    }
}

impl LaunchObserver for Log {
    fn launched(&self, kernel: &'static str) {
        self.note(kernel, 1, Duration::ZERO);
    }

    fn timing(&self) -> TimingRequest {
        if self.timed { TimingRequest::Resolved } else { TimingRequest::None }
    }

    fn timed(&self, kernel: &'static str, duration: Duration, _: TimingMethod) {
        self.note(kernel, 0, duration);
    }
}

/// How often each kernel was launched, and how long it ran in all.
pub type Kernels = BTreeMap<&'static str, (usize, Duration)>;

/// What `work` launches. `timed` runs the kernels one at a time, each with the time it took.
pub fn observe(
    timed: bool,
    work: impl FnOnce() -> Result<(), Box<dyn Error>>,
) -> Result<Kernels, Box<dyn Error>> {
    let log = Arc::new(Log { timed, ..Log::default() });
    let observation = LaunchObservation::new(log.clone());
    work()?;
    drop(observation);
    let kernels = std::mem::take(&mut *log.kernels.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(kernels)
}

/// The number of launches that `work` makes.
pub fn count(work: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<usize, Box<dyn Error>> {
    Ok(observe(false, work)?.values().map(|(count, _)| count).sum())
}
