//! What a route may have waiting, and what becomes of more.

use super::*;
use crate::delivery::State;

fn narrow(route: &str, full: Full) -> Target {
    Target { backlog: Backlog { events: 2, bytes: 1 << 20, full }, ..target(route) }
}

impl Store {
    async fn take(&self, targets: Vec<Target>) -> Result<Receipt, AppendError> {
        self.ledger.append(event(b"x"), None, targets).await
    }
}

#[tokio::test]
async fn a_full_backlog_refuses_and_stores_nothing_on_any_route() {
    let store = Store::new();
    let both = || vec![target("wide"), narrow("r", Full::Refuse)];
    for _ in 0..2 {
        store.take(both()).await.unwrap();
    }
    assert_eq!(store.take(both()).await, Err(AppendError::Full));
    assert_eq!(store.ask("SELECT count(*) FROM event"), 2);
    assert_eq!(store.ask("SELECT events FROM route WHERE name='wide'"), 2);
    assert!(store.take(vec![target("wide")]).await.is_ok(), "another route is not refused");
}

#[tokio::test]
async fn of_many_at_once_only_those_are_taken_that_there_is_room_for() {
    let store = Store::new();
    let all = (0..100).map(|_| store.take(vec![narrow("r", Full::Refuse)]));
    let taken = futures_util::future::join_all(all).await.into_iter().filter(Result::is_ok);
    assert_eq!(taken.count(), 2);
}

#[tokio::test]
async fn room_comes_back_when_deliveries_are_settled() {
    let store = Store::new();
    for _ in 0..2 {
        store.take(vec![narrow("r", Full::Refuse)]).await.unwrap();
    }
    let lease = store.lease().await;
    store.retry_at(lease, store.ledger.now() + 3_600_000);
    let lease = store.lease().await;
    let store = {
        assert_eq!(store.take(vec![narrow("r", Full::Refuse)]).await, Err(AppendError::Full));
        store.ack(lease);
        store.until("done", 1).await;
        store.reopen()
    };
    store.take(vec![narrow("r", Full::Refuse)]).await.unwrap();
    assert_eq!(store.take(vec![narrow("r", Full::Refuse)]).await, Err(AppendError::Full));
}

#[tokio::test]
async fn bytes_are_counted_too() {
    let store = Store::new();
    let target = |bytes| {
        vec![Target { backlog: Backlog { events: 9, bytes, full: Full::Refuse }, ..target("r") }]
    };
    assert!(store.take(target(1)).await.is_ok(), "one may be larger");
    let size = store.ask("SELECT bytes FROM route") as u64;
    assert_eq!(store.take(target(2 * size - 1)).await, Err(AppendError::Full));
    assert!(store.take(target(2 * size)).await.is_ok());
}

#[tokio::test]
async fn where_more_is_to_be_dead_it_is_so_at_once_and_says_why() {
    let store = Store::new();
    let both = || vec![narrow("r", Full::Dead), target("wide")];
    for _ in 0..2 {
        store.take(both()).await.unwrap();
    }
    let third = store.take(both()).await.unwrap();
    let (event, _) = store.ledger.reader().show(third.id).unwrap();
    let [dead, leased] = &event.deliveries[..] else { panic!("{event:?}") };
    assert_eq!((dead.state, leased.state), (State::Dead, State::Leased));
    assert!(dead.cause.as_ref().unwrap().contains("backlog"));
    store.until("dead", 1).await;
    assert_eq!(store.ask("SELECT events FROM route WHERE name='r'"), 2);
}

#[tokio::test]
async fn a_duplicate_is_known_although_the_backlog_is_full() {
    let store = Store::new();
    let same = Some(store.same("1"));
    let narrow = || vec![narrow("r", Full::Refuse)];
    let first = store.ledger.append(event(b"x"), same, narrow()).await.unwrap();
    store.take(narrow()).await.unwrap();
    let again = store.ledger.append(event(b"x"), same, narrow()).await;
    assert_eq!(again, Ok(Receipt { duplicate: true, ..first }));
}

#[tokio::test]
async fn a_refused_one_is_no_first_one() {
    let store = Store::new();
    for _ in 0..2 {
        store.take(vec![narrow("r", Full::Refuse)]).await.unwrap();
    }
    let same = Some(store.same("1"));
    let refused = store.ledger.append(event(b"x"), same, vec![narrow("r", Full::Refuse)]).await;
    assert_eq!(refused, Err(AppendError::Full));
    assert!(!store.append("x", same, &["wide"]).await.unwrap().duplicate);
}
