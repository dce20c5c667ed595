//! Routes with `order_by`: one at a time of each value, in order of arrival.

use super::*;
use crate::delivery::State;
use crate::ledger::order;
use crate::ledger::tables::Tables;

#[tokio::test]
async fn of_each_value_the_oldest_alone_is_due() {
    let store = Store::new();
    let [a1, a2, b1] = [
        store.append_ordered("a").await,
        store.append_ordered("a").await,
        store.append_ordered("b").await,
    ];
    let (first, other) = (store.lease().await, store.lease().await);
    assert_eq!([first.delivery() >> 16, other.delivery() >> 16], [a1.id.seq(), b1.id.seq()]);
    store.append("x", None, &[]).await.unwrap();
    assert!(store.leases.is_empty());
    let waits = store.ledger.reader().show(a2.id).unwrap().0.deliveries.remove(0);
    assert_eq!(waits.state, State::Pending);
    assert!(waits.cause.unwrap().contains("order_by"));
    store.ack(first);
    store.ack_that(a2).await;
}

#[tokio::test]
async fn a_retry_keeps_the_others_waiting_and_its_end_does_not() {
    let store = Store::new();
    let [first, second, third] = [
        store.append_ordered("a").await,
        store.append_ordered("a").await,
        store.append_ordered("a").await,
    ];
    for attempt in 1..=3 {
        let lease = store.lease().await;
        assert_eq!((lease.delivery() >> 16, lease.attempt()), (first.id.seq(), attempt));
        if attempt < 3 {
            store.retry_at(lease, store.ledger.now() + 5);
        } else {
            store.reject(lease);
        }
    }
    store.ack_that(second).await;
    store.ack_that(third).await;
}

#[tokio::test]
async fn order_outlives_restarts_and_crashes() {
    let mut store = Store::new();
    let mut all = Vec::new();
    for value in ["a", "a", "b", "a", "b"] {
        all.push(store.append_ordered(value).await);
    }
    let lease = store.lease().await;
    store.retry_at(lease, store.ledger.now());
    store = store.crash();
    let mut taken = Vec::new();
    for n in 0..5 {
        let lease = store.lease().await;
        taken.push(all.iter().position(|it| it.id.seq() == lease.delivery() >> 16).unwrap());
        store.ack(lease);
        store.until("done", n + 1).await;
        store = if n % 2 == 0 { store.reopen() } else { store.crash() };
    }
    let of =
        |which: &[usize]| taken.iter().copied().filter(|n| which.contains(n)).collect::<Vec<_>>();
    assert_eq!((of(&[0, 1, 3]), of(&[2, 4])), (vec![0, 1, 3], vec![2, 4]));
}

#[tokio::test]
async fn a_held_route_keeps_its_order() {
    let store = Store::new();
    let [first, second] = [store.append_ordered("a").await, store.append_ordered("a").await];
    let lease = store.lease().await;
    store.ledger.rule(Vec::new()).await;
    store.ledger.give_back(lease);
    let third = store.append_ordered("a").await;
    let store = store.reopen();
    store.ledger.rule(vec![rule("r", None)]).await;
    for receipt in [first, second, third] {
        store.ack_that(receipt).await;
    }
}

#[tokio::test]
async fn what_waits_is_freed_when_its_route_keeps_no_order_any_more() {
    const MANY: usize = 10 * order::STEP + 1;
    let store = Store::new();
    let all = (0..MANY).map(|_| store.append_ordered("a"));
    futures_util::future::join_all(all).await;
    let first = store.lease().await;
    let unordered = Rule { ordered: false, ..rule("r", None) };
    store.ledger.rule(vec![unordered]).await;
    let mut out = Vec::new();
    for _ in 1..MANY {
        let lease = store.lease().await;
        if out.len() < 10 { out.push(lease) } else { store.ack(lease) }
    }
    assert_eq!(store.ask("SELECT count(*) FROM waiting"), 0);
    store.ledger.rule(vec![rule("r", None)]).await;
    let again = store.append_ordered("a").await;
    let head = store.lease().await;
    let next = store.append_ordered("a").await;
    store.ack(first);
    out.into_iter().for_each(|lease| store.ack(lease));
    store.until("done", MANY as i64).await;
    assert!(store.leases.is_empty(), "its own head is still out");
    assert_eq!(head.delivery() >> 16, again.id.seq());
    store.ack(head);
    store.ack_that(next).await;
}

#[tokio::test]
async fn what_waits_is_not_stranded_when_order_comes_back_before_all_is_freed() {
    const MORE: usize = 100;
    let store = Store::new();
    let all = (0..order::STEP + MORE).map(|_| store.append_ordered("a"));
    futures_util::future::join_all(all).await;
    let mut db = store.db();
    let step = db.transaction().unwrap();
    assert!(order::release(&mut Tables::of(&step).unwrap(), 1).unwrap());
    step.commit().unwrap();
    assert_eq!(store.ask("SELECT count(*) FROM waiting"), MORE as i64);
    let store = store.reopen();
    store.ledger.rule(vec![rule("r", None)]).await;
    for _ in 0..order::STEP + MORE {
        let lease = store.lease().await;
        store.ack(lease);
    }
    store.until("done", (order::STEP + MORE) as i64).await;
}
