//! Which attempts go on computing, told to whoever polls them.

use std::cell::Cell;
use std::task::{Context, Poll};
use std::time::Duration;

use super::Job;

thread_local! {
    /// CPU time of the guest that was interrupted last on this thread, until it runs again or ends.
    static INTERRUPTED: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// How far a poll brought an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It has ended.
    Ended,
    /// It waits for something.
    Waits,
    /// Its guest was interrupted, after so much CPU time, and would go on at once.
    Computes(Duration),
}

/// Polls what makes attempts.
pub fn poll(job: &mut Job, context: &mut Context<'_>) -> Progress {
    INTERRUPTED.set(None);
    match (job.as_mut().poll(context), INTERRUPTED.get()) {
        (Poll::Ready(()), _) => Progress::Ended,
        (Poll::Pending, None) => Progress::Waits,
        (Poll::Pending, Some(used)) => Progress::Computes(used),
    }
}

/// The guest that runs on this thread is interrupted, and has used so much CPU time.
pub fn interrupted(used: Duration) {
    INTERRUPTED.set(Some(used));
}

/// The guest has ended. One that was interrupted gives up the thread before what follows, since its
/// thread may have others that compute for long.
pub async fn ended(used: Duration) {
    INTERRUPTED.set(None);
    if used >= super::ticker::LONG {
        tokio::task::yield_now().await;
    }
}
