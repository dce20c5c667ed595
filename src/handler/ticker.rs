//! What interrupts guests: it ticks while attempts are under way, and faster while one of them
//! computes for long.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::scheduling;

/// How often a running guest is interrupted, to let others run and to look at its CPU time.
const TICK: Duration = Duration::from_millis(2);

/// Likewise where one computed for long within [`LATELY`]: the next such one holds up others for less.
const SHORT_TICK: Duration = Duration::from_micros(500);
const LATELY: Duration = Duration::from_secs(1);

/// CPU time after which an attempt that goes on computing is one that computes for long.
pub const LONG: Duration = Duration::from_micros(500);

/// How often a ticker that rests looks whether it is needed at all.
const LOOK: Duration = Duration::from_secs(1);

/// What attempts tell the ticker.
#[derive(Debug, Default)]
pub struct Ticker {
    under_way: AtomicUsize,
    /// How often an attempt was interrupted that computes for long.
    long: AtomicU64,
    resting: AtomicUsize,
    begins: Mutex<()>,
    begun: Condvar,
}

/// An attempt that is under way, until this is dropped.
#[derive(Debug)]
pub struct UnderWay<'a>(&'a Ticker);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Ticker {
    /// An attempt begins.
    pub fn begin(&self) -> UnderWay<'_> {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        if self.resting.load(Ordering::SeqCst) > 0 {
            let _locked = self.begins.lock().unwrap_or_else(PoisonError::into_inner);
            self.begun.notify_all();
        }
        UnderWay(self)
    }

    /// An attempt that has used so much CPU time was interrupted.
    pub fn interrupted(&self, used: Duration) {
        if used >= LONG {
            self.long.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Calls `tick`, on a thread of its own, until it says that there is nothing more to tick for.
    pub fn drive(self: &Arc<Self>, mut tick: impl FnMut() -> bool + Send + 'static) {
        let ticker = self.clone();
        thread::spawn(move || {
            // Late, it leaves the core for long to the very guest that it has to interrupt.
            scheduling::be_prompt();
            let (mut seen, mut seen_at) = (0, None);
            while tick() {
                let long = ticker.long.load(Ordering::Relaxed);
                if long != seen {
                    (seen, seen_at) = (long, Some(Instant::now()));
                }
                ticker.rest(LOOK);
                thread::sleep(period(seen_at.map(|at| at.elapsed())));
            }
        });
    }

    /// Waits for an attempt, if none is under way, and no longer than that.
    fn rest(&self, at_most: Duration) {
        if self.under_way.load(Ordering::SeqCst) > 0 {
            return;
        }
        let begins = self.begins.lock().unwrap_or_else(PoisonError::into_inner);
        self.resting.fetch_add(1, Ordering::SeqCst);
        let none = |(): &mut ()| self.under_way.load(Ordering::SeqCst) == 0;
        let _begun = self.begun.wait_timeout_while(begins, at_most, none);
        self.resting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The time from one tick to the next, so long after an attempt was seen that computes for long.
fn period(since_long: Option<Duration>) -> Duration {
    if since_long.is_some_and(|since| since < LATELY) { SHORT_TICK } else { TICK }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn ticks_are_short_for_a_while_after_one_that_computes_for_long() {
        let never = None;
        for (since, expected) in [
            (never, TICK),
            (Some(Duration::ZERO), SHORT_TICK),
            (Some(LATELY - Duration::from_nanos(1)), SHORT_TICK),
            (Some(LATELY), TICK),
        ] {
            assert_eq!(period(since), expected, "{since:?}");
        }
    }

    #[test]
    fn only_one_that_computes_for_long_is_counted() {
        let ticker = Ticker::default();
        ticker.interrupted(LONG - Duration::from_nanos(1));
        assert_eq!(ticker.long.load(Ordering::Relaxed), 0);
        ticker.interrupted(LONG);
        assert_eq!(ticker.long.load(Ordering::Relaxed), 1);
    }

    /// A ticker, and what hears it tick and ends it when it is dropped.
    fn ticking() -> (Arc<Ticker>, mpsc::Receiver<()>) {
        let (ticker, (tick, ticks)) = (Arc::<Ticker>::default(), mpsc::sync_channel(0));
        ticker.drive(move || tick.send(()).is_ok());
        (ticker, ticks)
    }

    #[test]
    fn it_ticks_while_an_attempt_is_under_way() {
        let (ticker, ticks) = ticking();
        let _under_way = ticker.begin();
        for _ in 0..100 {
            ticks.recv().unwrap();
        }
    }

    #[test]
    fn an_attempt_that_begins_ends_its_rest() {
        let (ticker, (tell, rested)) = (Arc::<Ticker>::default(), mpsc::channel());
        let resting = ticker.clone();
        thread::spawn(move || {
            resting.rest(Duration::from_secs(3_600));
            tell.send(())
        });
        while ticker.resting.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        let _under_way = ticker.begin();
        rested.recv_timeout(Duration::from_secs(60)).unwrap();
    }

    #[test]
    fn it_rests_until_an_attempt_begins() {
        let (ticker, ticks) = ticking();
        while ticker.resting.load(Ordering::SeqCst) == 0 {
            let _tick = ticks.try_recv();
            thread::yield_now();
        }
        let _under_way = ticker.begin();
        for _ in 0..100 {
            ticks.recv().unwrap();
        }
        assert_eq!(ticker.resting.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn it_ends_with_what_it_ticks_for() {
        let (ticker, gone) = (Arc::<Ticker>::default(), Arc::new(AtomicBool::new(true)));
        let held = gone.clone();
        ticker.drive(move || !held.load(Ordering::SeqCst));
        while Arc::strong_count(&gone) > 1 || Arc::strong_count(&ticker) > 1 {
            thread::yield_now();
        }
    }
}
