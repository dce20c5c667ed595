//! Two lanes for attempts: those that soon wait or end, and those that compute for long, which have
//! threads of their own.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use async_channel::{Receiver, Sender};
use tokio::task::unconstrained;

use crate::handler::{Job, LONG, Progress, progress};

/// Where attempts go on. Each that is under way has this, so the lanes end with the last of them.
struct Lanes {
    quick: Sender<Started>,
    long: Sender<Started>,
}

/// Where attempts begin.
#[derive(Clone)]
pub struct Entry(Arc<Lanes>);

/// What has changed its lane.
#[derive(Clone)]
pub struct Moved {
    quick: Receiver<Started>,
    long: Receiver<Started>,
}

/// An attempt under way.
struct Started {
    job: Job,
    lanes: Arc<Lanes>,
}

/// An attempt in the quick lane; it is ready when it has ended or left.
pub struct Quick(Option<Started>);

/// Both lanes, empty.
pub fn new() -> (Entry, Moved) {
    let ((quick, from_long), (long, from_quick)) =
        (async_channel::unbounded(), async_channel::unbounded());
    (Entry(Arc::new(Lanes { quick, long })), Moved { quick: from_long, long: from_quick })
}

/// Whether it goes on in the long lane.
fn is_long(progress: Progress) -> bool {
    matches!(progress, Progress::Computes(used) if used >= LONG)
}

impl Entry {
    /// Begins an attempt, in the quick lane.
    pub fn start(&self, job: Job) -> Quick {
        Quick(Some(Started { job, lanes: self.0.clone() }))
    }
}

impl Moved {
    /// The next that is back in the quick lane; `None` when all have ended that ever began, and
    /// nobody may begin another.
    pub async fn back(&self) -> Option<Quick> {
        self.quick.recv().await.ok().map(|started| Quick(Some(started)))
    }

    /// Runs those of the long lane, each for a tick in turn, until the lanes have ended or been
    /// closed. Returns how many were cut off.
    pub async fn compute(&self) -> usize {
        let mut cut = 0;
        while let Ok(mut started) = self.long.recv().await {
            let progress = self.turn(&mut started).await;
            let next = if is_long(progress) { &started.lanes.long } else { &started.lanes.quick };
            let next = next.clone();
            if progress != Progress::Ended && next.try_send(started).is_err() {
                cut += 1;
            }
        }
        cut
    }

    /// Runs one until it is no longer for this lane, or another waits for its turn. While none does it
    /// stays with its thread: the kernel preempts one that was just woken later than others. After each
    /// tick, other threads that wait for the core have it.
    async fn turn(&self, started: &mut Started) -> Progress {
        let turn = poll_fn(|context| {
            loop {
                let progress = progress(&mut started.job, context);
                thread::yield_now();
                let alone = self.long.is_empty() && !self.long.is_closed();
                if !is_long(progress) || !alone {
                    return Poll::Ready(progress);
                }
            }
        });
        // Otherwise, its timer would be among what has had its share of this poll.
        unconstrained(turn).await
    }

    /// Cuts off what is between the lanes; returns how many that were.
    pub fn close(&self) -> usize {
        let cut = [&self.quick, &self.long].map(|lane| {
            lane.close();
            std::iter::from_fn(|| lane.try_recv().ok()).count()
        });
        cut.iter().sum()
    }
}

impl Future for Quick {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(mut started) = self.0.take() else { return Poll::Ready(()) };
        let progress = progress(&mut started.job, context);
        if progress == Progress::Ended {
            return Poll::Ready(());
        }
        if !is_long(progress) {
            self.0 = Some(started);
            return Poll::Pending;
        }
        let long = started.lanes.long.clone();
        match long.try_send(started) {
            Ok(()) => Poll::Ready(()),
            // The lane is closed: it stays, and is cut off here.
            Err(refused) => {
                self.0 = Some(refused.into_inner());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;
    use tokio::sync::oneshot;
    use tokio::task::{consume_budget, yield_now};
    use tokio::time::{Instant, timeout};

    use super::*;
    use crate::handler::interrupted;

    /// A guest that is interrupted after each of these.
    async fn computes<const N: usize>(used: [Duration; N]) {
        for used in used {
            interrupted(used);
            yield_now().await;
        }
    }

    #[test]
    fn only_a_guest_that_computed_long_and_goes_on_is_long() {
        for (progress, expected) in [
            (Progress::Ended, false),
            (Progress::Waits, false),
            (Progress::Computes(Duration::ZERO), false),
            (Progress::Computes(LONG - Duration::from_nanos(1)), false),
            (Progress::Computes(LONG), true),
            (Progress::Computes(Duration::MAX), true),
        ] {
            assert_eq!(is_long(progress), expected, "{progress:?}");
        }
    }

    #[tokio::test]
    async fn who_computes_long_changes_lanes_until_it_waits() {
        let ((entry, moved), (answer, asked)) = (new(), oneshot::channel::<()>());
        entry.start(computes([LONG / 2]).boxed()).await;
        assert!(moved.long.is_empty(), "it was quick");
        let job = async {
            computes([LONG / 2, LONG, 2 * LONG]).await;
            asked.await.unwrap();
        };
        entry.start(job.boxed()).await;
        assert_eq!((moved.quick.len(), moved.long.len()), (0, 1));
        let mut long = Box::pin(moved.compute());
        assert_eq!((&mut long).now_or_never(), None);
        assert_eq!((moved.quick.len(), moved.long.len()), (1, 0));
        let mut back = moved.back().await.unwrap();
        assert_eq!((&mut back).now_or_never(), None);
        answer.send(()).unwrap();
        back.await;
        drop(entry);
        assert!(moved.back().await.is_none());
        assert_eq!(long.await, 0);
    }

    #[tokio::test]
    async fn the_long_lane_takes_turns() {
        let ((entry, moved), (tell, told)) = (new(), mpsc::channel());
        let named = |name, job: BoxFuture<'static, ()>| {
            let tell = tell.clone();
            entry.start(job.map(move |()| tell.send(name).unwrap()).boxed())
        };
        named("longest", computes([LONG; 9]).boxed()).await;
        named("shortest", computes([LONG; 1]).boxed()).await;
        named("middle", computes([LONG; 5]).boxed()).await;
        drop((entry, tell));
        assert_eq!(moved.compute().await, 0);
        assert_eq!(told.iter().collect::<Vec<_>>(), ["shortest", "middle", "longest"]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn who_computes_alone_is_timed_out_all_the_same() {
        let (entry, moved) = new();
        let computes = async {
            computes([LONG]).await;
            // As much as tokio lets a task do in one poll.
            for _ in 0..128 {
                consume_budget().await;
            }
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(60) {
                computes([LONG]).await;
            }
            panic!("it was not timed out");
        };
        let job = async {
            let _elapsed = timeout(Duration::from_millis(50), computes).await;
        };
        entry.start(job.boxed()).await;
        drop(entry);
        assert_eq!(moved.compute().await, 0);
    }

    #[tokio::test]
    async fn closed_lanes_count_each_that_they_cut_off_once() {
        let (entry, moved) = new();
        let lanes = moved.clone();
        let closes = async move {
            computes([LONG]).await;
            assert_eq!(lanes.close(), 1, "the other one that waits there");
            computes([LONG]).await;
        };
        entry.start(closes.boxed()).await;
        entry.start(computes([LONG; 9]).boxed()).await;
        assert_eq!(moved.compute().await, 1, "the one that has closed them");
        let mut stays = entry.start(computes([LONG]).boxed());
        assert_eq!((&mut stays).now_or_never(), None, "it has nowhere to go");
        assert_eq!(stays.now_or_never(), Some(()));
        assert_eq!(moved.close(), 0);
    }
}
