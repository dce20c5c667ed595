//! Time: the wall's for people and signatures, a stamp that never goes back for what is due.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, as the system's clock says now. It may go back.
pub fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// A point in time as RFC 3339 in UTC with milliseconds, for people and JSON.
pub fn rfc3339(ms: u64) -> String {
    let at = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.unwrap_or(jiff::Timestamp::MAX).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// Stamps for `due_at`: the wall clock at start plus what a monotonic clock has counted since,
/// so that setting the machine's clock strands no retry and makes none early.
#[derive(Debug, Clone, Copy)]
pub struct Stamps {
    wall_at_start: u64,
    started: Instant,
}

impl Stamps {
    /// Stamps that begin at the wall clock's present reading.
    pub fn start() -> Self {
        Self::start_at(wall_ms())
    }

    /// Stamps that begin at that reading of a clock.
    pub fn start_at(wall_ms: u64) -> Self {
        Self { wall_at_start: wall_ms, started: Instant::now() }
    }

    /// Milliseconds since 1970, never less than an earlier stamp of the same process.
    pub fn now(&self) -> u64 {
        self.wall_at_start.saturating_add(millis(self.started.elapsed()))
    }
}

/// A duration in whole milliseconds.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_in_time_is_written_in_utc_with_milliseconds() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(1_728_245_699_957), "2024-10-06T20:14:59.957Z");
    }

    #[test]
    fn stamps_start_at_the_wall_and_do_not_go_back() {
        let before = wall_ms();
        let stamps = Stamps::start();
        let first = stamps.now();
        assert!(first >= before);
        assert!(stamps.now() >= first);
    }
}
