//! Counts launches by CubeCL's own observer, which sees ours like all others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use cubecl::logging::{LaunchObservation, LaunchObserver};

/// How often each kernel was launched.
pub type Launches = BTreeMap<&'static str, usize>;

#[derive(Default)]
struct Log(Mutex<Launches>);

impl LaunchObserver for Log {
    fn launched(&self, kernel: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(kernel).or_default() += 1;
    }
}

/// What `work` launches until it returns.
pub fn of(work: impl FnOnce()) -> Launches {
    let log = Arc::new(Log::default());
    let observation = LaunchObservation::new(log.clone());
    work();
    drop(observation);
    std::mem::take(&mut *log.0.lock().unwrap_or_else(PoisonError::into_inner))
}

/// All of them.
pub fn sum(launches: &Launches) -> usize {
    launches.values().sum()
}
