//! Free space on the ledger's disk: events are refused before it runs out, so that what is stored
//! can still be settled.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::IntGauge;

use super::health::Health;

/// How often the disk is asked.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The disk's free space, as of lately.
pub struct Space {
    data: PathBuf,
    /// Bytes that stay free.
    least: u64,
    health: Arc<Health>,
    gauge: IntGauge,
    next_look: Instant,
}

impl Space {
    /// Of the disk that holds the folder `data`; `gauge` shows it.
    pub fn new(data: &Path, least: u64, health: Arc<Health>, gauge: IntGauge) -> Self {
        Self { data: data.to_owned(), least, health, gauge, next_look: Instant::now() }
    }

    /// When to look again.
    pub fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Asks the disk, if it is time to.
    pub fn look(&mut self) {
        if Instant::now() < self.next_look {
            return;
        }
        self.next_look = Instant::now() + LOOK_EVERY;
        // What a file system does not tell stays as it was.
        let Ok(disk) = rustix::fs::statvfs(&self.data) else { return };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        self.gauge.set(i64::try_from(free).unwrap_or(i64::MAX));
        let (full, least) = (is_full(free, self.least), self.least);
        match self.health.full(full) {
            true if full => tracing::error!(
                free,
                least,
                "events are refused: the disk has less free space than min_free"
            ),
            true => tracing::info!(free, least, "the disk has free space again"),
            false => {}
        }
    }
}

fn is_full(free: u64, least: u64) -> bool {
    free < least
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::health::Problem;

    #[test]
    fn the_disk_is_asked_now_and_then_and_tells_when_it_is_full_and_when_it_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let health = Arc::<Health>::default();
        let gauge = IntGauge::new("free", "free").unwrap();
        let mut space = Space::new(folder.path(), u64::MAX, health.clone(), gauge.clone());
        space.look();
        assert_eq!(health.problem(), Some(Problem::Full));
        space.least = gauge.get().unsigned_abs() / 2;
        space.look();
        assert_eq!(health.problem(), Some(Problem::Full), "it was asked just now");
        space.next_look = Instant::now();
        space.look();
        assert_eq!(health.problem(), None);
    }

    #[test]
    fn exactly_as_much_as_should_stay_free_is_enough() {
        assert!(is_full(99, 100));
        assert!(!is_full(100, 100));
        assert!(!is_full(0, 0));
    }
}
