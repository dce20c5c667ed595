//! Memory that all request bodies in flight share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A number of bytes to be shared; clones share the same ones.
#[derive(Debug, Clone)]
pub struct Budget {
    left: Arc<AtomicUsize>,
}

impl Budget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { left: Arc::new(AtomicUsize::new(bytes)) }
    }

    /// Bytes that nobody has taken.
    #[must_use]
    pub fn left(&self) -> usize {
        self.left.load(Relaxed)
    }

    /// A reservation of nothing yet.
    pub(super) fn reserve(&self) -> Reservation {
        Reservation { budget: self.clone(), bytes: 0 }
    }
}

/// Bytes taken from a [`Budget`], given back on drop.
#[derive(Debug)]
pub struct Reservation {
    budget: Budget,
    bytes: usize,
}

impl Reservation {
    /// Takes so many bytes more; false, and nothing taken, if there are not enough.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let left = &self.budget.left;
        let taken = left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes));
        if taken.is_ok() {
            self.bytes += bytes;
        }
        taken.is_ok()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_to_the_last_byte_and_given_back() {
        let budget = Budget::new(10);
        let (mut one, mut two) = (budget.reserve(), budget.clone().reserve());
        assert!(one.take(4));
        assert!(two.take(6));
        assert!(!one.take(1));
        assert_eq!(budget.left(), 0);
        drop(two);
        assert!(one.take(1));
        assert_eq!(budget.left(), 5);
        drop(one);
        assert_eq!(budget.left(), 10);
    }
}
