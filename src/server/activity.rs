//! What a connection is doing, and until when it may.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::Limits;

/// Stands in `head_since` for "no head is half read".
const NONE: u64 = u64::MAX;

/// Written by the wire and the requests of one connection, read by its watchdog.
/// Times are microseconds since `opened`.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    /// When the head that is half read began.
    head_since: AtomicU64,
    /// When an answer was last ready, or bytes of one were last written.
    answered: AtomicU64,
    /// Requests that the service is at work on.
    running: AtomicUsize,
    /// Requests that the service was given.
    started: AtomicU64,
    /// HTTP/1 requests that were received to their last byte.
    received: AtomicU64,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            opened: Instant::now(),
            head_since: AtomicU64::new(NONE),
            answered: AtomicU64::new(0),
            running: AtomicUsize::new(0),
            started: AtomicU64::new(0),
            received: AtomicU64::new(0),
        }
    }

    /// After each read: how many requests are complete by now, and whether a head is half read.
    pub(super) fn read(&self, received: u64, in_head: bool) {
        self.received.store(received, Relaxed);
        if !in_head {
            self.head_since.store(NONE, Relaxed);
        } else if self.head_since.load(Relaxed) == NONE {
            self.head_since.store(self.now(), Relaxed);
        }
    }

    /// After each write.
    pub(super) fn wrote(&self) {
        self.answered.store(self.now(), Relaxed);
    }

    /// A request goes to the service.
    pub(super) fn start(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Relaxed);
        Running { number: self.started.fetch_add(1, Relaxed) + 1, activity: Arc::clone(self) }
    }

    /// The end of the time to send a head, or to be idle. None while the service is at work.
    fn deadline(&self, limits: &Limits) -> Option<Instant> {
        if self.running.load(Relaxed) > 0 {
            return None;
        }
        let answered = self.answered.load(Relaxed);
        let head = match self.head_since.load(Relaxed) {
            // A connection owes its first head from the moment it is opened.
            _ if self.started.load(Relaxed) == 0 => Some(0),
            NONE => None,
            // The next head may arrive, and then wait, while a request is being answered.
            since => Some(since.max(answered)),
        };
        let (since, patience) = match head {
            Some(since) => (since, limits.header_timeout),
            None => (answered, limits.idle_timeout),
        };
        Some(self.opened + Duration::from_micros(since) + patience)
    }

    /// Ready when the deadline has passed. To be polled whenever the connection was.
    pub(super) fn poll_overdue(
        &self,
        mut timer: Pin<&mut Sleep>,
        limits: &Limits,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            let deadline = self.deadline(limits);
            // A deadline that moves away is noticed when the timer fires: one that
            // comes nearer, at once. So a busy connection hardly touches its timer.
            if let Some(deadline) = deadline
                && deadline < timer.deadline()
            {
                timer.as_mut().reset(deadline);
            }
            ready!(timer.as_mut().poll(cx));
            let now = Instant::now();
            match deadline {
                Some(deadline) if deadline <= now => return Poll::Ready(()),
                Some(deadline) => timer.as_mut().reset(deadline),
                None => timer.as_mut().reset(now + limits.idle_timeout),
            }
        }
    }

    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(NONE - 1)
    }
}

/// A request that the service is at work on, until dropped.
#[derive(Debug)]
pub(super) struct Running {
    number: u64,
    activity: Arc<Activity>,
}

impl Running {
    /// Whether the request has arrived to its last byte. Only HTTP/1 is followed so closely.
    pub(super) fn received(&self) -> bool {
        self.activity.received.load(Relaxed) >= self.number
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.activity.answered.store(self.activity.now(), Relaxed);
        self.activity.running.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        header_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(75),
        ..Limits::DEFAULT
    };

    async fn after(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    fn left(activity: &Activity) -> Option<u64> {
        let deadline = activity.deadline(&LIMITS)?;
        Some((deadline - Instant::now()).as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_head_is_owed_from_the_start() {
        let activity = Activity::new();
        after(4).await;
        activity.read(0, true);
        assert_eq!(left(&activity), Some(6));
    }

    #[tokio::test(start_paused = true)]
    async fn work_has_no_deadline_and_idling_starts_when_it_ends() {
        let activity = Arc::new(Activity::new());
        let running = activity.start();
        assert_eq!(left(&activity), None);
        after(100).await;
        drop(running);
        assert_eq!(left(&activity), Some(75));
        after(5).await;
        assert_eq!(left(&activity), Some(70));
        activity.wrote();
        assert_eq!(left(&activity), Some(75));
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_head_has_its_own_time_but_not_while_it_waits_for_us() {
        let activity = Arc::new(Activity::new());
        let running = activity.start();
        activity.read(1, true);
        after(60).await;
        drop(running);
        assert_eq!(left(&activity), Some(10));
        after(3).await;
        activity.read(1, true);
        assert_eq!(left(&activity), Some(7));
        activity.read(2, false);
        assert_eq!(left(&activity), Some(72));
    }
}
