//! Log lines that would come as often as senders, or a disk, like.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Keeps a line from flooding the log.
#[derive(Debug)]
pub struct Seldom {
    every: Duration,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    last: Option<Instant>,
    /// How often nothing was said since.
    unsaid: u64,
}

impl Seldom {
    /// Lets the line through no more often than this.
    pub fn new(every: Duration) -> Self {
        Self { every, said: Mutex::default() }
    }

    /// Logs, unless it did so lately. `log` is told how often it was left out since.
    pub fn say(&self, log: impl FnOnce(u64)) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.last.is_some_and(|last| last.elapsed() < self.every) {
            said.unsaid += 1;
            return;
        }
        said.last = Some(Instant::now());
        log(std::mem::take(&mut said.unsaid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_is_told_with_the_next_line() {
        let (always, mut told) = (Seldom::new(Duration::ZERO), Vec::new());
        always.say(|unsaid| told.push(unsaid));
        always.say(|unsaid| told.push(unsaid));
        assert_eq!(told, [0, 0]);
        let mut once = Seldom::new(Duration::from_secs(3_600));
        for _ in 0..3 {
            once.say(|unsaid| told.push(unsaid));
        }
        assert_eq!(told, [0, 0, 0]);
        once.every = Duration::ZERO;
        once.say(|unsaid| told.push(unsaid));
        assert_eq!(told, [0, 0, 0, 2]);
    }
}
