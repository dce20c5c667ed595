//! What is leased, when, and in which order.

use super::*;
use crate::delivery::State;
use crate::ledger::Replayed;
use crate::ledger::leases::LEASES;
use crate::ledger::queue::{AT_ONCE, MOVE_BACK, Row};

/// Far more than may be out at once.
const MANY: usize = 2 * LEASES + 500;

#[tokio::test]
async fn a_long_queue_is_leased_in_parts_in_order_of_arrival() {
    let store = Store::new();
    store.append_many(MANY).await;
    store.until("leased", LEASES as i64).await;
    store.until("pending", (MANY - LEASES) as i64).await;
    let mut last = 0;
    for _ in 0..MANY {
        assert!(store.leases.len() <= LEASES);
        let lease = store.lease().await;
        assert!(lease.delivery() > last, "{} after {last}", lease.delivery());
        last = lease.delivery();
        store.ack(lease);
    }
    store.until("done", MANY as i64).await;
    assert_eq!(store.ask("SELECT count(*) FROM queue"), 0);
    assert!(store.leases.is_empty());
}

#[tokio::test]
async fn while_older_ones_wait_a_fresh_one_waits_behind_them() {
    let store = Store::new();
    store.append_many(LEASES + 1).await;
    let first = store.lease().await;
    store.ack(first);
    store.until("done", 1).await;
    store.append("last", None, &["r"]).await.unwrap();
    for n in 2..=LEASES as u64 + 2 {
        let lease = store.lease().await;
        assert_eq!(lease.delivery() >> 16, n);
        store.ack(lease);
    }
}

#[tokio::test]
async fn a_fresh_delivery_brings_its_event_along() {
    let store = Store::new();
    store.append("the first one reads the queue", None, &["r"]).await.unwrap();
    store.lease().await;
    let receipt = store.append("body", None, &["a", "b"]).await.unwrap();
    for route in ["a", "b"] {
        let lease = store.lease().await;
        assert_eq!((&*lease.route, lease.attempt()), (route, 1));
        assert!(lease.event.is_some());
        let (id, event, _) = store.ledger.event(&lease).unwrap();
        assert_eq!((id, &event.body()[..]), (receipt.id, &b"body"[..]));
    }
}

#[tokio::test]
async fn retries_that_wait_do_not_keep_fresh_ones_from_going_straight_to_their_attempt() {
    let store = Store::new();
    let count = LEASES + 100;
    store.append_many(count).await;
    let in_an_hour = store.ledger.now() + 3_600_000;
    for _ in 0..count {
        let lease = store.lease().await;
        store.retry_at(lease, in_an_hour);
    }
    store.until("leased", 0).await;
    store.append("fresh", None, &["r"]).await.unwrap();
    assert!(store.lease().await.event.is_some());
}

#[tokio::test]
async fn retries_and_fresh_ones_take_turns() {
    let store = Store::new();
    store.append_many(200).await;
    let now = store.ledger.now();
    for _ in 0..100 {
        let lease = store.lease().await;
        store.retry_at(lease, now);
    }
    let store = store.reopen();
    let mut attempts = Vec::new();
    for _ in 0..200 {
        attempts.push(store.lease().await.attempt());
    }
    assert!(attempts.chunks(2).all(|two| two == [1, 2]), "{attempts:?}");
}

#[tokio::test]
async fn a_retry_is_leased_when_it_is_due_and_no_earlier() {
    let store = Store::new();
    store.append("x", None, &["r"]).await.unwrap();
    for attempt in 1..=4 {
        let lease = store.lease().await;
        assert!(store.ledger.now() >= lease.row.due_at);
        assert_eq!(lease.attempt(), attempt);
        let due_at = store.ledger.now() + 20;
        store.retry_at(lease, due_at);
    }
}

#[tokio::test]
async fn what_was_out_is_leased_again_after_a_crash() {
    let store = Store::new();
    let receipt = store.append("x", None, &["r"]).await.unwrap();
    let first = store.lease().await;
    let store = store.crash();
    let again = store.lease().await;
    assert_eq!((again.delivery(), again.attempt()), (first.delivery(), 1));
    assert_eq!(store.ledger.event(&again).unwrap().0, receipt.id);
}

#[tokio::test]
async fn a_stale_settlement_changes_nothing() {
    let store = Store::new();
    let receipt = store.append("x", None, &["r"]).await.unwrap();
    let lease = store.lease().await;
    let stale = Lease { row: lease.row, route: lease.route.clone(), event: None };
    store.ack(lease);
    store.until("done", 1).await;
    store.reject(stale);
    store.append("y", None, &[]).await.unwrap();
    let (row, _) = store.ledger.reader().show(receipt.id).unwrap();
    assert_eq!(row.deliveries[0].attempts.len(), 1);
    assert_eq!(row.deliveries[0].attempts[0].outcome, "ack");
    assert_eq!(store.ask("SELECT value FROM ledger WHERE name='dead'"), 0);
}

#[tokio::test]
async fn a_clock_that_was_set_back_makes_nothing_wait_longer() {
    let store = Store::new();
    let receipt = store.append("x", None, &["r"]).await.unwrap();
    let lease = store.lease().await;
    let due_at = store.ledger.now() + 50;
    store.retry_at(lease, due_at);
    let an_hour_ago = wall_ms() - 3_600_000;
    let store = store.reopen_at(Stamps::start_at(an_hour_ago));
    let shown = store.ledger.reader().show(receipt.id).unwrap().0.deliveries[0].due_at.unwrap();
    assert!(shown < due_at - 3_500_000, "{shown}");
    let lease = store.lease().await;
    assert_eq!((lease.attempt(), lease.row.due_at), (2, shown));
    assert!(lease.row.due_at <= store.ledger.now());
}

#[tokio::test]
async fn a_clock_that_was_set_forward_strands_nothing() {
    let store = Store::new();
    store.append("x", None, &["r"]).await.unwrap();
    let lease = store.lease().await;
    let in_an_hour = store.ledger.now() + 3_600_000;
    store.retry_at(lease, in_an_hour);
    store.until("leased", 0).await;
    let store = store.reopen_at(Stamps::start_at(wall_ms() + 3_700_000));
    let lease = store.lease().await;
    store.retry_at(lease, store.ledger.now() + 10);
    // What waits is committed before the file is closed.
    let store = store.reopen();
    assert_eq!(store.lease().await.attempt(), 3);
}

#[tokio::test]
async fn a_backlog_of_one_route_does_not_keep_anothers_from_going_straight_to_its_attempt() {
    let store = Store::new();
    store.append_many(MANY).await;
    store.until("leased", LEASES as i64).await;
    store.append("x", None, &["other"]).await.unwrap();
    store.until("leased", LEASES as i64 + 1).await;
    for _ in 0..LEASES {
        assert_eq!(&*store.lease().await.route, "r");
    }
    let lease = store.lease().await;
    assert_eq!((&*lease.route, lease.event.is_some()), ("other", true));
}

#[test]
fn moving_stamps_back_searches_nothing_that_is_settled() {
    let store = Store::new();
    let sql = format!("EXPLAIN QUERY PLAN {}", MOVE_BACK.replace("?1", "1"));
    let plan: String = store.db().query_row(&sql, [], |row| row.get("detail")).unwrap();
    assert!(plan.contains("INDEX unsettled"), "{plan}");
}

#[tokio::test]
async fn a_settlement_of_a_lease_that_has_ended_does_not_end_the_one_that_followed() {
    let store = Store::new();
    let receipt = store.append("x", None, &["r"]).await.unwrap();
    let again = |lease: &Lease| Lease { row: lease.row, route: "r".into(), event: None };
    let first = store.lease().await;
    let stale = again(&first);
    store.retry_at(first, store.ledger.now());
    let second = store.lease().await;
    store.ack(stale);
    // It rides in this commit.
    store.append("y", None, &[]).await.unwrap();
    let delivery = || store.ledger.reader().show(receipt.id).unwrap().0.deliveries.remove(0);
    assert_eq!((delivery().state, delivery().attempts.len()), (State::Leased, 1));
    let stale = Lease { row: Row { due_at: AT_ONCE, ..second.row }, ..again(&second) };
    store.ack(second);
    store.until("done", 1).await;
    let (route, origin) = ("r".into(), String::new());
    let replayed = Replayed { seq: receipt.id.seq(), route, order: None, bytes: 1, origin };
    assert_eq!(store.ledger.replay(vec![replayed]).await, Ok(1));
    let third = store.lease().await;
    store.reject(stale);
    store.append("z", None, &[]).await.unwrap();
    assert_eq!((delivery().state, delivery().attempts.len()), (State::Leased, 2));
    store.ack(third);
    store.until("done", 1).await;
}
