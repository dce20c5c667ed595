//! A disk that refuses a commit. Here a trigger refuses it, after all else of it was written.

use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::*;
use crate::delivery::Reply;
use crate::effects::Changes;
use crate::ledger::inbox::Batch;
use crate::ledger::{Again, Effects, Settle, Settled, Staged};

const LARGE: usize = 300 * 1024;

impl Store {
    fn break_disk(&self) {
        let trigger = "CREATE TRIGGER full BEFORE UPDATE ON ledger
            BEGIN SELECT raise(ABORT, 'no space'); END";
        self.db().execute_batch(trigger).unwrap();
    }

    fn mend_disk(&self) {
        self.db().execute_batch("DROP TRIGGER full").unwrap();
    }

    async fn refuses(&self, body: &str) {
        let same = Some(self.same(body));
        let refused = self.append(body, same, &["r"]).await;
        assert_eq!(refused, Err(AppendError::Unavailable));
    }
}

#[tokio::test]
async fn a_commit_that_fails_fails_for_all_and_leaves_nothing_behind() {
    let store = Store::new();
    let large = "x".repeat(LARGE);
    store.break_disk();
    let bodies = ["a", "b", &large];
    futures_util::future::join_all(bodies.map(|body| store.refuses(body))).await;
    assert_eq!(store.ledger.problem(), Some(Problem::Failing));
    assert!(store.metrics.commit_failures.get() >= 1);
    store.mend_disk();
    for table in ["event", "dedupe", "queue"] {
        assert_eq!(store.ask(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
    assert_eq!(files(&store.path("bodies")), [] as [PathBuf; 0]);
    until("it to be writable", || store.ledger.problem().is_none()).await;
    for body in bodies {
        let stored = store.append(body, Some(store.same(body)), &["r"]).await.unwrap();
        assert!(!stored.duplicate);
    }
    store.until("leased", 3).await;
}

#[tokio::test]
async fn it_recovers_by_itself_when_space_returns() {
    let store = Store::new();
    store.break_disk();
    store.refuses("x").await;
    store.mend_disk();
    until("the ledger to be writable", || store.ledger.problem().is_none()).await;
}

#[tokio::test]
async fn while_it_cannot_be_written_it_tries_now_and_then_only() {
    let store = Store::new();
    store.append("x", None, &["r"]).await.unwrap();
    let lease = store.lease().await;
    store.break_disk();
    store.ack(lease);
    let failures = &store.metrics.commit_failures;
    until("the first failure", || failures.get() > 0).await;
    let began = std::time::Instant::now();
    let before = failures.get();
    until("some more", || failures.get() >= before + 3).await;
    // The first of the waits had begun: the others are 200 and 400 ms at the least.
    assert!(began.elapsed() >= Duration::from_millis(600));
}

#[tokio::test]
async fn settlements_are_kept_and_recorded_later() {
    let store = Store::new();
    for body in ["done", "again"] {
        store.append(body, None, &["r"]).await.unwrap();
    }
    let (done, again) = (store.lease().await, store.lease().await);
    let keys = (done.row.delivery, again.row.delivery);
    store.break_disk();
    store.ack(done);
    let now = store.ledger.now();
    store.retry_at(again, now);
    until("a failure", || store.metrics.commit_failures.get() > 0).await;
    assert_eq!(store.ask("SELECT count(*) FROM delivery"), 0);
    assert!(store.leases.is_empty(), "what is not settled is not leased again");
    store.mend_disk();
    let again = store.lease().await;
    assert_eq!((again.row.delivery, again.attempt()), (keys.1, 2));
    store.until("done", 1).await;
    let done = format!("SELECT count(*) FROM delivery WHERE id={} AND state='done'", keys.0);
    assert_eq!(store.ask(&done), 1);
}

#[tokio::test]
async fn what_becomes_due_meanwhile_is_leased_afterwards() {
    let store = Store::new();
    store.append("x", None, &["r"]).await.unwrap();
    let lease = store.lease().await;
    let due_at = store.ledger.now() + 200;
    store.retry_at(lease, due_at);
    store.until("leased", 0).await;
    store.break_disk();
    store.refuses("y").await;
    until("it to be due", || store.ledger.now() > due_at).await;
    store.mend_disk();
    assert_eq!(store.lease().await.attempt(), 2);
}

#[tokio::test]
async fn counts_are_right_after_a_failure() {
    let store = Store::new();
    store.append("x", None, &["r"]).await.unwrap();
    let lease = store.lease().await;
    store.break_disk();
    store.ack(lease);
    store.refuses("y").await;
    store.mend_disk();
    store.until("done", 1).await;
    store.until("pending", 0).await;
    assert_eq!(store.ask("SELECT value FROM ledger WHERE name='done'"), 1);
    assert_eq!(store.ask("SELECT events FROM route"), 0);
}

#[tokio::test]
async fn a_body_that_cannot_be_written_is_refused() {
    let store = Store::new();
    fs::remove_dir(store.path("bodies")).unwrap();
    let refused = store.append(&"x".repeat(LARGE), None, &["r"]).await;
    assert_eq!(refused, Err(AppendError::Unavailable));
    assert!(store.append("small", None, &["r"]).await.is_ok());
}

/// What a sync that failed may have brought to the disk nevertheless must find its bodies there.
#[tokio::test]
async fn every_body_of_a_commit_can_be_left_to_be_swept() {
    let store = Store::new();
    store.append("x", None, &["r"]).await.unwrap();
    let large = event("x".repeat(LARGE).as_bytes());
    let emitted = async || store.ledger.emitted(large.clone(), Vec::new()).await.unwrap();
    let staged = async || Staged { changes: Changes::default(), emitted: vec![emitted().await] };
    let settled = async || {
        let (attempt, effects) = (attempt(Outcome::Ack), Some(staged().await));
        Settled { route: "r".into(), attempt, next: Next::Done, effects }
    };
    let append = Append { settled: Some(Box::new(settled().await)), ..emitted().await };
    let (reply, lease) = (oneshot::channel().0, store.lease().await);
    let again = Again { key: 1, n: 2, settled: settled().await, reply };
    let effects = Some(Box::new(Effects { staged: staged().await, reply: oneshot::channel().0 }));
    let (attempt, next) = (attempt(Outcome::Ack), Next::Done);
    let settle = Settle { lease, attempt, next, effects, _held: None };
    let (appends, again, settles) = (vec![append], vec![again], vec![settle]);
    let mut batch = Batch { appends, again, settles, ..Batch::default() };
    batch.leave_bodies();
    drop(batch);
    assert_eq!(files(&store.path("bodies")).len(), 4);
}

#[tokio::test]
async fn while_settlements_hold_much_memory_no_attempt_begins() {
    const MIBS: usize = 65;
    let store = Store::new();
    store.append_many(MIBS).await;
    store.break_disk();
    assert!(store.ledger.room_to_settle().now_or_never().is_some());
    for _ in 0..MIBS {
        let reply = Reply { status: 200, headers: Vec::new(), body: vec![0; 1 << 20] };
        let attempt = attempt(Outcome::Reply(reply));
        store.ledger.settle(store.lease().await, attempt, Next::Done);
    }
    assert!(store.ledger.room_to_settle().now_or_never().is_none());
    store.mend_disk();
    soon("room", store.ledger.room_to_settle()).await;
    store.until("done", MIBS as i64).await;
}
