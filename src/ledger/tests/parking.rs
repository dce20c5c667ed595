//! Parked deliveries, and freeing them.

use super::*;
use crate::delivery::State;
use crate::ledger::apply::PARKED;
use crate::ledger::queue::PULL_IN;

/// More than one step's worth.
const MANY: usize = 1_300;

async fn park_all(store: &Store, count: usize) {
    for _ in 0..count {
        let lease = store.lease().await;
        store.ledger.settle(lease, Settlement::Parked("its handler is missing".to_owned()));
    }
    store.until("parked", count as i64).await;
}

#[tokio::test]
async fn a_parked_delivery_waits_with_its_cause_and_spends_no_attempt() {
    let store = Store::new();
    let receipt = store.append("x", None, &["r"]).await.unwrap();
    park_all(&store, 1).await;
    let (row, _) = store.ledger.reader().show(receipt.id).unwrap();
    let [delivery] = &row.deliveries[..] else { panic!("{row:?}") };
    assert_eq!(delivery.state, State::Parked);
    assert_eq!(delivery.cause.as_deref(), Some("its handler is missing"));
    assert_eq!(delivery.attempts, []);
    store.ledger.unpark(vec!["r".into()]);
    assert_eq!(store.lease().await.attempt, 1);
}

#[tokio::test]
async fn parking_between_attempts_keeps_their_count() {
    let store = Store::new();
    let receipt = store.append("x", None, &["r"]).await.unwrap();
    let now = store.ledger.now();
    for _ in 0..2 {
        let lease = store.lease().await;
        store.retry_at(lease, now);
    }
    park_all(&store, 1).await;
    let store = store.reopen();
    store.ledger.unpark(vec!["r".into()]);
    let lease = store.lease().await;
    assert_eq!(lease.attempt, 3);
    store.ack(lease);
    store.until("done", 1).await;
    let (row, _) = store.ledger.reader().show(receipt.id).unwrap();
    let numbers: Vec<u32> = row.deliveries[0].attempts.iter().map(|attempt| attempt.n).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[tokio::test]
async fn only_the_routes_that_are_named_are_freed_all_of_them_and_in_order() {
    let store = Store::new();
    for _ in 0..MANY / 100 {
        let one = async |_| store.append("x", None, &["kept", "freed"]).await.unwrap();
        futures_util::future::join_all((0..100).map(one)).await;
    }
    park_all(&store, 2 * MANY).await;
    store.ledger.unpark(vec!["freed".into(), "unknown".into()]);
    let mut last = 0;
    for _ in 0..MANY {
        let lease = store.lease().await;
        assert_eq!(&*lease.route, "freed");
        assert!(lease.delivery() > last);
        last = lease.delivery();
        store.ack(lease);
    }
    store.until("done", MANY as i64).await;
    store.until("parked", MANY as i64).await;
    assert_eq!(store.ask("SELECT value FROM ledger WHERE name='parked'"), MANY as i64);
}

#[test]
fn what_is_settled_is_not_searched_for_what_is_parked_or_waits() {
    let store = Store::new();
    for sql in [PARKED, PULL_IN] {
        let sql = format!("EXPLAIN QUERY PLAN {}", sql.replace("?1", "1").replace('?', "1"));
        let plan: String = store.db().query_row(&sql, [], |row| row.get("detail")).unwrap();
        assert!(plan.contains("INDEX unsettled"), "{sql}: {plan}");
    }
}
