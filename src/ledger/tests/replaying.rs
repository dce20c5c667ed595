//! Replays: what is settled becomes pending again.

use super::*;
use crate::delivery::State;
use crate::event::EventId;
use crate::ledger::{DeliveryRow, Filter, Receipt, Replayed};

fn again(of: Receipt, route: &str) -> Replayed {
    let origin = format!("{}/r", of.id);
    Replayed { seq: of.id.seq(), route: route.into(), order: None, bytes: 1, origin }
}

impl Store {
    fn deliveries(&self, id: EventId) -> Vec<DeliveryRow> {
        self.ledger.reader().show(id).unwrap().0.deliveries
    }
}

#[tokio::test]
async fn a_replay_keeps_what_was_tried_and_begins_the_schedule_anew() {
    let mut store = Store::new();
    let receipt = store.append("a", None, &["r"]).await.unwrap();
    let lease = store.lease().await;
    assert_eq!(store.ledger.event(&lease).unwrap().2, 0);
    store.reject(lease);
    store.until("dead", 1).await;
    assert_eq!(store.ledger.replay(vec![again(receipt, "r")]).await, Ok(1));
    store = store.crash();
    let lease = store.lease().await;
    let (id, event, before) = store.ledger.event(&lease).unwrap();
    assert_eq!((id, lease.attempt(), before), (receipt.id, 2, 1));
    let origin = ("replay-of".to_owned(), format!("{}/r", receipt.id));
    assert!(event.attributes().contains(&origin));
    store.ack(lease);
    store.until("done", 1).await;
    store.until("dead", 0).await;
    let [delivery] = &store.deliveries(receipt.id)[..] else { panic!() };
    assert_eq!((delivery.state, delivery.attempts.len()), (State::Done, 2));
    assert_eq!(delivery.replay.as_ref().unwrap().attempts, 1);
    assert_eq!(store.ask("SELECT events FROM route"), 0);
}

#[tokio::test]
async fn what_is_not_settled_or_not_there_is_not_replayed() {
    let store = Store::new();
    let receipt = store.append("a", None, &["r"]).await.unwrap();
    let gone = Receipt { id: EventId::new(0, 0, 99), duplicate: false };
    let all = vec![again(receipt, "r"), again(gone, "r")];
    assert_eq!(store.ledger.replay(all).await, Ok(0), "it waits for its first attempt");
    let lease = store.lease().await;
    store.retry_at(lease, store.ledger.now() + 3_600_000);
    until("the retry", || store.ask("SELECT count(*) FROM delivery") == 1).await;
    assert_eq!(store.ledger.replay(vec![again(receipt, "r")]).await, Ok(0), "it is tried again");
    assert_eq!(store.ask("SELECT count(*) FROM replay"), 0);
}

#[tokio::test]
async fn another_route_gets_a_delivery_of_its_own_once() {
    let store = Store::new();
    let routed = store.append("a", None, &["r"]).await.unwrap();
    let unrouted = store.append("b", None, &[]).await.unwrap();
    let lease = store.lease().await;
    store.reject(lease);
    store.until("dead", 1).await;
    let both = || vec![again(routed, "q"), again(unrouted, "q"), again(routed, "q")];
    assert_eq!(store.ledger.replay(both()).await, Ok(2));
    store.ack_that(routed).await;
    store.ack_that(unrouted).await;
    store.until("done", 2).await;
    assert_eq!(store.ledger.replay(both()).await, Ok(2), "they are done, and done again");
    for id in [routed.id, unrouted.id] {
        let lease = store.lease().await;
        assert_eq!((lease.delivery() >> 16, lease.attempt(), &*lease.route), (id.seq(), 2, "q"));
        store.ack(lease);
    }
    let states = |id| store.deliveries(id).iter().map(|one| one.state).collect::<Vec<_>>();
    until("both to be done", || {
        states(routed.id) == [State::Dead, State::Done] && states(unrouted.id) == [State::Done]
    })
    .await;
}

#[tokio::test]
async fn a_replay_waits_while_another_event_of_its_value_is_tried() {
    let store = Store::new();
    let [first, second] = [store.append_ordered("a").await, store.append_ordered("a").await];
    let lease = store.lease().await;
    store.reject(lease);
    let lease = store.lease().await;
    assert_eq!(lease.delivery() >> 16, second.id.seq());
    let order = Some(store.ledger.order("a"));
    assert_eq!(store.ledger.replay(vec![Replayed { order, ..again(first, "r") }]).await, Ok(1));
    assert!(store.leases.is_empty());
    store.ack(lease);
    let lease = store.lease().await;
    assert_eq!((lease.delivery() >> 16, lease.attempt()), (first.id.seq(), 2));
    store.ack(lease);
    store.until("done", 2).await;
}

#[tokio::test]
async fn a_replay_comes_behind_all_that_wait_for_its_value() {
    let mut store = Store::new();
    let first = store.append_ordered("a").await;
    let lease = store.lease().await;
    store.reject(lease);
    store.until("dead", 1).await;
    let [second, third] = [store.append_ordered("a").await, store.append_ordered("a").await];
    let order = Some(store.ledger.order("a"));
    assert_eq!(store.ledger.replay(vec![Replayed { order, ..again(first, "r") }]).await, Ok(1));
    let fourth = store.append_ordered("a").await;
    store = store.crash();
    for receipt in [second, third, first, fourth] {
        store.ack_that(receipt).await;
    }
    store.until("done", 4).await;
    assert_eq!(store.ask("SELECT count(*) FROM waiting"), 0);
}

#[tokio::test]
async fn matches_come_oldest_first_in_steps() {
    let store = Store::new();
    store.append_many(600).await;
    for _ in 0..600 {
        let lease = store.lease().await;
        store.reject(lease);
    }
    store.until("dead", 600).await;
    let (mut seen, mut steps, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let step = store.ledger.reader().matching(&Filter::default(), None, after).unwrap();
        steps.push(step.items.len());
        seen.extend(step.items.iter().map(|found| found.event.seq()));
        after = step.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((seen, steps), ((1..=600).collect(), vec![250, 250, 100]));
    let find = |filter: &Filter, only| {
        let found = store.ledger.reader().matching(filter, only, None).unwrap().items;
        found.iter().map(|found| found.event.seq()).collect::<Vec<_>>()
    };
    let third =
        store.ledger.reader().list(&Filter { before: Some(4), limit: 1, ..Filter::default() });
    let third = third.unwrap().items.remove(0).id;
    assert_eq!(find(&Filter::default(), Some(third)), [3]);
    let foreign = EventId::new(1, 2, 3);
    assert_eq!(find(&Filter::default(), Some(foreign)), [0; 0]);
    for none in [
        Filter { route: Some("q".to_owned()), ..Filter::default() },
        Filter { source: Some("q".to_owned()), ..Filter::default() },
        Filter { cause: Some("yes".to_owned()), ..Filter::default() },
        Filter { state: Some(Some(State::Done)), ..Filter::default() },
        Filter { state: Some(None), ..Filter::default() },
        Filter { received: Some(0..1), ..Filter::default() },
    ] {
        assert_eq!(find(&none, None), [0; 0], "{none:?}");
    }
}
