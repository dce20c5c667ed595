//! Whether the ledger takes events, as its writer sees it and everyone may ask.

use std::sync::atomic::{AtomicBool, Ordering};

/// What keeps the ledger from taking events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// The disk does not take what is written.
    Failing,
    /// The disk has less free space than it should keep.
    Full,
}

/// What the writer has seen of the disk.
#[derive(Debug, Default)]
pub struct Health {
    failing: AtomicBool,
    full: AtomicBool,
}

impl Health {
    /// Tells whether the disk fails; true when that is new.
    pub fn failing(&self, failing: bool) -> bool {
        self.failing.swap(failing, Ordering::Relaxed) != failing
    }

    /// Tells whether there is too little space; true when that is new.
    pub fn full(&self, full: bool) -> bool {
        self.full.swap(full, Ordering::Relaxed) != full
    }

    /// Why an event cannot be stored now.
    pub fn problem(&self) -> Option<Problem> {
        if self.failing.load(Ordering::Relaxed) {
            return Some(Problem::Failing);
        }
        self.full.load(Ordering::Relaxed).then_some(Problem::Full)
    }
}
