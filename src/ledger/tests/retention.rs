//! What is removed, and what never is.

use super::*;
use crate::ledger::{ReadError, Settled, hold, schema};

const LARGE: usize = 300 * 1024;

impl Store {
    /// Ends it, and opens it again with other rules, which apply at once.
    fn retain(self, retention: Retention) -> Self {
        self.reopen_with(|options| Options { retention, ..options })
    }

    async fn until_removed(&self, events: u64) {
        let removed = &self.metrics.events_removed;
        until(&format!("{events} to be removed"), || removed.get() >= events).await;
        assert_eq!(removed.get(), events);
    }

    async fn ack_next(&self) {
        let lease = self.lease().await;
        self.ack(lease);
    }

    fn count(&self, table: &str) -> i64 {
        self.ask(&format!("SELECT count(*) FROM {table}"))
    }

    fn is_there(&self, receipt: &Receipt) -> bool {
        !matches!(self.ledger.reader().show(receipt.id), Err(ReadError::Missing))
    }
}

/// One event of each kind: done, dead, pending, unrouted.
async fn one_of_each() -> (Store, [Receipt; 4]) {
    let store = Store::new();
    let done = store.append("done", Some(store.same("done")), &["r", "s"]).await.unwrap();
    store.ack_next().await;
    store.ack_next().await;
    let dead = store.append("dead", Some(store.same("dead")), &["r", "s"]).await.unwrap();
    store.ack_next().await;
    let lease = store.lease().await;
    store.reject(lease);
    let pending = store.append("pending", None, &["r", "s"]).await.unwrap();
    store.ack_next().await;
    let unrouted = store.append("unrouted", None, &[]).await.unwrap();
    store.until("done", 4).await;
    store.until("dead", 1).await;
    (store, [done, dead, pending, unrouted])
}

#[tokio::test]
async fn while_somebody_copies_files_nothing_goes() {
    let (store, _) = one_of_each().await;
    let held = hold::all(&store.path("bodies")).unwrap();
    let store = store.retain(NOTHING);
    until("a look", || store.metrics.ledger_bytes.get() > 0).await;
    assert_eq!(store.metrics.events_removed.get(), 0);
    drop(held);
    store.until_removed(3).await;
}

#[tokio::test]
async fn each_kind_goes_at_its_age_and_what_is_not_settled_never() {
    for (retention, left) in [
        (FOREVER, [true, true, true, true]),
        (Retention { done: Duration::ZERO, ..FOREVER }, [false, true, true, true]),
        (Retention { dead: Duration::ZERO, ..FOREVER }, [true, false, true, true]),
        (Retention { unrouted: Duration::ZERO, ..FOREVER }, [true, true, true, false]),
        (NOTHING, [false, false, true, false]),
        (Retention { bytes: 0, ..FOREVER }, [false, false, true, false]),
    ] {
        let (store, receipts) = one_of_each().await;
        let store = store.retain(retention);
        store.until_removed(left.iter().filter(|left| !**left).count() as u64).await;
        assert_eq!(receipts.map(|receipt| store.is_there(&receipt)), left, "{retention:?}");
        let [done, dead, ..] = left.map(i64::from);
        store.until("done", 1 + 2 * done + dead).await;
        store.until("dead", dead).await;
        assert_eq!(store.count("delivery WHERE state IN ('done', 'dead')"), 1 + 2 * (done + dead));
        store.ack_next().await;
        store.until("pending", 0).await;
    }
}

#[tokio::test]
async fn a_duplicate_is_known_after_its_event_is_gone_and_until_the_window_ends() {
    let (store, [first, ..]) = one_of_each().await;
    let store = store.retain(NOTHING);
    store.until_removed(3).await;
    let again = store.append("done", Some(store.same("done")), &["r"]).await.unwrap();
    assert_eq!(again, Receipt { id: first.id, duplicate: true });
    assert_eq!(store.count("duplicate"), 0, "nobody would remove it");
    let store = store.reopen_with(|o| Options { dedupe_window: Duration::ZERO, ..o });
    until("the entries to be forgotten", || store.count("dedupe") == 0).await;
    let new = store.append("done", Some(store.same("done")), &["r"]).await.unwrap();
    assert!(!new.duplicate && new.id.seq() > first.id.seq());
}

#[tokio::test]
async fn a_number_is_not_given_again_when_all_is_gone() {
    let mut store = Store::new();
    let mut last = 0;
    for _ in 0..3 {
        let id = store.append("x", None, &[]).await.unwrap().id;
        assert!(id.seq() > last);
        last = id.seq();
        store = store.retain(NOTHING);
        store.until_removed(1).await;
        store = store.reopen();
    }
    assert_eq!(store.count("event"), 0);
}

#[tokio::test]
async fn a_large_body_goes_with_its_event() {
    let store = Store::new();
    let kept = store.append(&"k".repeat(LARGE), None, &["r"]).await.unwrap();
    let gone = store.append(&"x".repeat(LARGE), None, &[]).await.unwrap();
    assert_eq!(files(&store.path("bodies")).len(), 2);
    let store = store.retain(NOTHING);
    until("its file to be gone", || files(&store.path("bodies")).len() == 1).await;
    assert!(store.is_there(&kept) && !store.is_there(&gone));
    assert_eq!(store.ask("SELECT value FROM ledger WHERE name='spooled_bytes'"), LARGE as i64);
}

#[tokio::test]
async fn another_attempt_of_what_is_gone_leaves_nothing_behind() {
    let store = Store::new();
    let failed = || {
        let (attempt, next) = (attempt(Outcome::Reject("no".to_owned())), Next::Dead);
        Settled { route: "r".into(), attempt, next, effects: None }
    };
    let event = Arc::new(event(b"x"));
    let id = store.ledger.new_id(&event);
    store.ledger.append_settled(id, event, None, failed(), Vec::new()).await.unwrap();
    let before = store.ledger.reader().sync_delivery(id, "r").unwrap().unwrap();
    let store = store.retain(NOTHING);
    store.until_removed(1).await;
    store.ledger.attempt_again(&before, failed()).await.unwrap();
    assert_eq!((store.count("attempt"), store.count("delivery")), (0, 0));
    store.until("dead", 0).await;
}

#[tokio::test]
async fn at_a_limit_of_bytes_the_oldest_go_and_the_file_stops_growing() {
    const LIMIT: u64 = 2 << 20;
    let store = Store::new().retain(Retention { bytes: LIMIT, ..FOREVER });
    let mut chance = 1_u32;
    let mut noise = || {
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'!' + (chance >> 24) as u8 % 90)
    };
    let mut sizes = Vec::new();
    for _ in 0..20 {
        for _ in 0..40 {
            let body: String = (0..16_000).map(|_| noise()).collect();
            store.append(&body, None, &["r"]).await.unwrap();
            store.ack_next().await;
        }
        let pages = "SELECT (SELECT page_count FROM pragma_page_count)
            - (SELECT freelist_count FROM pragma_freelist_count)";
        let is_within = || store.ask(pages).unsigned_abs() * schema::PAGE_BYTES <= LIMIT;
        until("it to be within its limit", is_within).await;
        store.db().execute_batch("PRAGMA wal_checkpoint").unwrap();
        sizes.push(fs::metadata(store.path("ledger.db")).unwrap().len());
    }
    // 12 MB went through it.
    assert!(sizes.iter().all(|size| *size < 3 * LIMIT), "{sizes:?}");
}

#[tokio::test]
async fn a_ledger_that_has_nothing_to_do_writes_nothing() {
    let store = Store::new();
    store.append("x", None, &["r"]).await.unwrap();
    store.ack_next().await;
    store.until("done", 1).await;
    let (db, size) = (store.db(), &store.metrics.ledger_bytes);
    let mut versions = Vec::new();
    // What was under way ends with the first look at its size.
    for _ in 0..3 {
        size.set(-1);
        until("a look at its size", || size.get() >= 0).await;
        let version = "PRAGMA data_version";
        versions.push(db.query_row(version, [], |row| row.get::<_, i64>(0)).unwrap());
    }
    assert_eq!(versions[1], versions[2]);
}
