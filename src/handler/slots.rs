//! Places for attempts that somebody waits for. They are taken before anything else is done, so
//! that a sender learns at once that there is none.

use std::pin::Pin;
use std::sync::Arc;

use async_channel::{Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Work for a handler thread.
pub type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// All places.
#[derive(Debug, Clone)]
pub struct Slots {
    free: Arc<Semaphore>,
    jobs: Sender<Job>,
}

/// One place, until it is dropped.
#[derive(Debug)]
pub struct Slot {
    _until_dropped: OwnedSemaphorePermit,
    jobs: Sender<Job>,
}

impl Slots {
    /// So many places, and where the handler threads find their work.
    pub fn new(places: usize) -> (Self, Receiver<Job>) {
        let (jobs, work) = async_channel::unbounded();
        (Self { free: Arc::new(Semaphore::new(places)), jobs }, work)
    }

    /// Takes a place, if one is free.
    pub fn take(&self) -> Option<Slot> {
        let _until_dropped = self.free.clone().try_acquire_owned().ok()?;
        Some(Slot { _until_dropped, jobs: self.jobs.clone() })
    }
}

impl Slot {
    /// Does the work on a handler thread; `None` when the threads have ended.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (done, result) = oneshot::channel();
        let job = async move {
            let _gone = done.send(work.await);
        };
        self.jobs.send(Box::pin(job)).await.ok()?;
        result.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_is_taken_until_it_is_dropped() {
        let (slots, work) = Slots::new(1);
        let slot = slots.take().unwrap();
        let running = tokio::spawn(async move { (slot.run(async { 7 }).await, slot) });
        work.recv().await.unwrap().await;
        let (done, slot) = running.await.unwrap();
        assert_eq!(done, Some(7));
        assert!(slots.take().is_none());
        drop(slot);
        assert!(slots.take().is_some());
    }

    #[tokio::test]
    async fn without_threads_there_is_no_result() {
        let (slots, work) = Slots::new(1);
        drop(work);
        assert_eq!(slots.take().unwrap().run(async { 7 }).await, None);
    }
}
