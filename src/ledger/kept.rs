//! What settlements hold in memory until they are on the disk. While a disk fails they are kept,
//! and so that they cannot come to be too many, no attempt begins when they hold too much.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Bytes that settlements may hold before attempts wait. What is under way then is still added.
const KEPT_BYTES: usize = 64 * 1024 * 1024;

/// How much they hold.
#[derive(Debug, Clone, Default)]
pub struct Kept(Arc<Held>);

#[derive(Debug, Default)]
struct Held {
    bytes: AtomicUsize,
    less: Notify,
}

/// What one of them holds, until it is dropped.
#[derive(Debug)]
pub struct Share {
    kept: Kept,
    bytes: usize,
}

impl Kept {
    /// A settlement of so many bytes.
    pub fn share(&self, bytes: usize) -> Share {
        self.0.bytes.fetch_add(bytes, Ordering::AcqRel);
        Share { kept: self.clone(), bytes }
    }

    /// Waits until they hold less than they may.
    pub async fn room(&self) {
        loop {
            let mut less = pin!(self.0.less.notified());
            less.as_mut().enable();
            if self.0.bytes.load(Ordering::Acquire) < KEPT_BYTES {
                return;
            }
            less.await;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let before = self.kept.0.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        if before >= KEPT_BYTES && before - self.bytes < KEPT_BYTES {
            self.kept.0.less.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn there_is_room_up_to_the_last_byte() {
        let kept = Kept::default();
        let most = kept.share(KEPT_BYTES - 1);
        assert!(kept.room().now_or_never().is_some());
        let last = kept.share(1);
        let mut room = Box::pin(kept.room());
        assert!((&mut room).now_or_never().is_none());
        drop(last);
        assert!(room.now_or_never().is_some());
        drop(most);
    }
}
