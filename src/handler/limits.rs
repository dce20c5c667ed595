//! What one attempt may use, and how it is measured while the guest runs.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wasmtime::ResourceLimiter;

/// The limits of one handler, for each attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// CPU time.
    pub cpu: Duration,
    /// Bytes of all linear memories together.
    pub memory: usize,
    /// Bytes of the guest's stack: one of [`STACKS`](super::STACKS).
    pub stack: usize,
    /// Bytes of a reply's body.
    pub reply_bytes: usize,
    /// Bytes of log lines that are kept; later ones are dropped.
    pub log_bytes: usize,
}

/// Elements that all tables of an attempt may have together.
pub const TABLE_ELEMENTS: usize = 100_000;

/// Bytes that a guest may hand to the host in one call.
pub const HOST_CALL_BYTES: usize = 4 * 1024 * 1024;

/// Bytes that a command may print to stdout: a reply with its body in base64.
pub const STDOUT_BYTES: usize = 4 * 1024 * 1024;

/// Bytes that a set of HTTP header fields may take in the host.
pub const FIELD_BYTES: usize = 64 * 1024;

/// Handles to host objects that an attempt may hold.
pub const HANDLES: usize = 10_000;

/// Sums up what a store's memories and tables take, and refuses what is over the limit.
#[derive(Debug)]
pub struct Limiter {
    memory: usize,
    memory_limit: usize,
    elements: usize,
    refused: Option<String>,
}

impl Limiter {
    /// For memories of at most `memory_limit` bytes together.
    pub fn new(memory_limit: usize) -> Self {
        Self { memory: 0, memory_limit, elements: 0, refused: None }
    }

    /// Bytes that all memories take together. A memory never shrinks, so this is the peak too.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// What was refused, in words, if anything was.
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self.memory.saturating_add(desired.saturating_sub(current));
        let fits = wanted <= self.memory_limit;
        if fits {
            self.memory = wanted;
        } else {
            let limit = self.memory_limit;
            self.refused = Some(format!("memory: {wanted} bytes wanted, the limit is {limit}"));
        }
        Ok(fits)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self.elements.saturating_add(desired.saturating_sub(current));
        let fits = wanted <= TABLE_ELEMENTS;
        if fits {
            self.elements = wanted;
        } else {
            self.refused =
                Some(format!("tables: {wanted} elements wanted, the limit is {TABLE_ELEMENTS}"));
        }
        Ok(fits)
    }
}

/// CPU time of one attempt, over all the times that its thread turned to it.
#[derive(Debug, Clone, Default)]
pub struct CpuMeter(Arc<Slices>);

#[derive(Debug, Default)]
struct Slices {
    ended: AtomicU64,
    began: AtomicU64,
}

impl CpuMeter {
    /// CPU time used so far; called on the thread that runs the attempt.
    pub fn used(&self) -> Duration {
        let began = self.0.began.load(Ordering::Relaxed);
        let running = thread_cpu_nanos().saturating_sub(began);
        Duration::from_nanos(self.0.ended.load(Ordering::Relaxed).saturating_add(running))
    }

    /// Runs a future, and counts the CPU time of the thread while it is polled.
    pub async fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        std::future::poll_fn(|context| self.poll(future.as_mut(), context)).await
    }

    fn poll<F: Future>(&self, future: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
        let began = thread_cpu_nanos();
        self.0.began.store(began, Ordering::Relaxed);
        let polled = future.poll(context);
        let slice = thread_cpu_nanos().saturating_sub(began);
        self.0.ended.fetch_add(slice, Ordering::Relaxed);
        polled
    }

    /// CPU time of the slices that have ended.
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.0.ended.load(Ordering::Relaxed))
    }
}

fn thread_cpu_nanos() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec
        .cast_unsigned()
        .saturating_mul(1_000_000_000)
        .saturating_add(now.tv_nsec.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_count_together_up_to_the_last_byte() {
        let mut limiter = Limiter::new(100);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.memory_growing(0, 40, None).unwrap());
        assert_eq!((limiter.refused(), limiter.memory()), (None, 100));
        assert!(!limiter.memory_growing(40, 41, None).unwrap());
        assert_eq!(limiter.memory(), 100);
        assert_eq!(limiter.refused(), Some("memory: 101 bytes wanted, the limit is 100"));
    }

    #[test]
    fn tables_count_together() {
        let mut limiter = Limiter::new(0);
        assert!(limiter.table_growing(0, TABLE_ELEMENTS - 1, None).unwrap());
        assert!(limiter.table_growing(0, 1, None).unwrap());
        assert!(!limiter.table_growing(1, 2, None).unwrap());
    }

    #[tokio::test]
    async fn only_polling_costs_cpu_time() {
        let (meter, began) = (CpuMeter::default(), std::time::Instant::now());
        const SLEEP: Duration = Duration::from_millis(50);
        let burn = async {
            let mut n = 0u64;
            while meter.used() < Duration::from_millis(5) {
                n = std::hint::black_box(n + 1);
            }
            tokio::time::sleep(SLEEP).await;
        };
        meter.run(burn).await;
        assert!(meter.total() >= Duration::from_millis(5));
        assert!(meter.total() + SLEEP <= began.elapsed(), "{:?}", meter.total());
    }
}
