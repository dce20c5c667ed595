//! Parked deliveries: those of routes that are held.

use super::*;
use crate::delivery::State;

/// More than are out at once.
const MANY: usize = 1_300;

const MISSING: &str = "its handler is missing";

impl Store {
    /// Gives everything back that is out.
    fn give_back(&self) {
        while let Ok(lease) = self.leases.try_recv() {
            self.ledger.give_back(lease);
        }
    }

    /// Holds the route `r`, or frees it.
    async fn hold(&self, held: Option<&str>) {
        self.ledger.rule(vec![rule("r", held)]).await;
        assert_eq!(self.ledger.held("r").as_deref(), held);
        if held.is_some() {
            self.give_back();
        }
    }

    fn delivery(&self, of: Receipt) -> crate::ledger::DeliveryRow {
        self.ledger.reader().show(of.id).unwrap().0.deliveries.remove(0)
    }
}

#[tokio::test]
async fn a_parked_delivery_waits_with_its_cause_and_spends_no_attempt() {
    let store = Store::new();
    store.hold(Some(MISSING)).await;
    let receipt = store.append("x", None, &["r"]).await.unwrap();
    store.until("parked", 1).await;
    let delivery = store.delivery(receipt);
    assert_eq!((delivery.state, delivery.cause.as_deref()), (State::Parked, Some(MISSING)));
    assert_eq!(delivery.attempts, []);
    assert!(store.leases.is_empty());
    store.hold(None).await;
    assert_eq!(store.lease().await.attempt(), 1);
    assert_eq!(store.delivery(receipt).state, State::Leased);
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
    store.until("leased", 1).await;
    store.hold(Some(MISSING)).await;
    store.until("parked", 1).await;
    let store = store.reopen();
    let lease = store.lease().await;
    assert_eq!(lease.attempt(), 3);
    store.ack(lease);
    store.until("done", 1).await;
    let numbers: Vec<u32> = store.delivery(receipt).attempts.iter().map(|it| it.n).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[tokio::test]
async fn what_was_parked_comes_back_in_order() {
    let store = Store::new();
    store.append_many(MANY).await;
    store.hold(Some(MISSING)).await;
    store.until("parked", MANY as i64).await;
    store.append("x", None, &["r"]).await.unwrap();
    store.hold(None).await;
    let mut last = 0;
    for _ in 0..=MANY {
        let lease = store.lease().await;
        assert!(lease.delivery() > last);
        last = lease.delivery();
        store.ack(lease);
    }
    store.until("done", MANY as i64 + 1).await;
    store.until("parked", 0).await;
}

#[tokio::test]
async fn a_removed_route_is_parked_and_others_are_not() {
    let store = Store::new();
    store.hold(None).await;
    let receipt = store.append("x", None, &["removed", "r"]).await.unwrap();
    let lease = store.lease().await;
    assert_eq!(&*lease.route, "r");
    let (event, _) = store.ledger.reader().show(receipt.id).unwrap();
    let states: Vec<_> = event.deliveries.iter().map(|it| (&*it.route, it.state)).collect();
    assert_eq!(states, [("removed", State::Parked), ("r", State::Leased)]);
    store.ledger.rule(vec![rule("r", None), rule("removed", None)]).await;
    assert_eq!(&*store.lease().await.route, "removed");
}

#[tokio::test]
async fn a_route_that_is_paused_by_request_stays_so_until_it_is_resumed() {
    let store = Store::new();
    store.ledger.pause("r".into(), true).await.unwrap();
    assert!(store.ledger.held("r").is_some(), "when it is answered, it holds");
    let receipt = store.append("x", None, &["r"]).await.unwrap();
    let store = store.reopen();
    store.ledger.rule(vec![rule("r", None)]).await;
    assert_eq!(store.delivery(receipt).state, State::Parked);
    assert!(store.leases.is_empty());
    store.ledger.pause("r".into(), false).await.unwrap();
    store.lease().await;
    let store = store.crash();
    store.lease().await;
}

#[tokio::test]
async fn a_route_that_is_held_and_new_is_never_leased() {
    let store = Store::new();
    store.ledger.rule(vec![rule("new", Some(MISSING))]).await;
    for body in ["1", "2"] {
        store.append(body, None, &["new"]).await.unwrap();
    }
    assert!(store.leases.is_empty());
    assert_eq!(store.metrics.deliveries.with_label_values(&["leased"]).get(), 0);
}

#[tokio::test]
async fn what_was_leased_at_the_start_is_parked_when_its_route_turns_out_to_be_held() {
    let store = Store::new();
    for route in ["r", "other", "r"] {
        store.append("x", None, &[route]).await.unwrap();
    }
    let store = store.reopen();
    store.until("leased", 3).await;
    store.ledger.rule(vec![rule("r", Some(MISSING)), rule("other", None)]).await;
    assert_eq!(&*store.leases.try_recv().unwrap().route, "other");
    assert!(store.leases.is_empty());
    store.until("parked", 2).await;
}
