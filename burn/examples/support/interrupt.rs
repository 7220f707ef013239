//! Ctrl-C: a wish that the training loop looks at between steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether somebody wants the program to stop.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

/// What a shell reports of a program that Ctrl-C ended.
pub const EXIT_CODE: u8 = 130;

impl Interrupt {
    /// The first Ctrl-C is noted; after a second one nothing is saved.
    pub fn install() -> Result<Self, ctrlc::Error> {
        let interrupt = Self::default();
        let wanted = Arc::clone(&interrupt.0);
        ctrlc::set_handler(move || {
            if wanted.swap(true, Ordering::SeqCst) {
                std::process::exit(EXIT_CODE.into());
            }
        })?;
        Ok(interrupt)
    }

    pub fn wanted(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
