//! Whose turn it is among the attempts of a handler that has a state.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// Attempts run beside each other. One whose reads were changed by others is made again alone, so
/// that it is not changed under again, however many want the same key.
#[derive(Debug, Clone, Default)]
pub struct Turns(Arc<RwLock<()>>);

/// A turn, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    _until_dropped: Guard,
}

#[derive(Debug)]
enum Guard {
    /// The handler has no state: its attempts cannot disturb each other.
    Free,
    Beside {
        _others: OwnedRwLockReadGuard<()>,
    },
    Alone {
        _lock: OwnedRwLockWriteGuard<()>,
    },
}

impl Turns {
    /// Waits for a turn; they are given in the order in which they are asked for.
    pub async fn next(&self, has_state: bool, alone: bool) -> Turn {
        let turns = self.0.clone();
        let _until_dropped = match (has_state, alone) {
            (false, _) => Guard::Free,
            (true, false) => Guard::Beside { _others: turns.read_owned().await },
            (true, true) => Guard::Alone { _lock: turns.write_owned().await },
        };
        Turn { _until_dropped }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn who_was_disturbed_runs_alone_and_before_those_who_come_later() {
        let turns = Turns::default();
        let (one, other) = (turns.next(true, false).await, turns.next(true, false).await);
        let mut alone = Box::pin(turns.next(true, true));
        assert!((&mut alone).now_or_never().is_none(), "two are at it");
        let mut later = Box::pin(turns.next(true, false));
        assert!((&mut later).now_or_never().is_none(), "it comes after");
        assert!(turns.next(false, false).now_or_never().is_some(), "it has no state");
        drop((one, other));
        let alone = alone.await;
        assert!((&mut later).now_or_never().is_none());
        drop(alone);
        later.await;
    }
}
