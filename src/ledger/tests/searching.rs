//! Looking through events, and grouping dead letters.

use super::*;
use crate::delivery::State;
use crate::ledger::letters::Group;
use crate::ledger::search::Filter;

/// Stores so many events, and has every one of them rejected for this reason and its number.
async fn rejected(store: &Store, count: usize, reason: &str) {
    store.append_many(count).await;
    for n in 0..count {
        let outcome = Outcome::Reject(format!("{reason} {n}"));
        store.ledger.settle(store.lease().await, attempt(outcome), Next::Dead);
    }
}

fn seqs(store: &Store, filter: &Filter) -> (Vec<u64>, Option<u64>) {
    let page = store.ledger.reader().list(filter).unwrap();
    (page.items.iter().map(|event| event.id.seq()).collect(), page.next)
}

#[tokio::test]
async fn a_page_looks_at_a_bounded_number_of_events_and_says_where_to_go_on() {
    let store = Store::new();
    store.append_many(3).await;
    // Older events, of which none is wanted.
    let filler = "WITH RECURSIVE n(i) AS (SELECT 4 UNION ALL SELECT i+1 FROM n WHERE i<10100)
        INSERT INTO event SELECT i, 0, 'other', 't', NULL, 1, '[]', x'', 0, x'', '' FROM n";
    store.db().execute(filler, []).unwrap();
    let wanted = Filter { source: Some("s".to_owned()), limit: 10, ..Filter::default() };
    let (none, next) = seqs(&store, &wanted);
    assert_eq!((none.len(), next), (0, Some(101)));
    assert_eq!(seqs(&store, &Filter { before: next, ..wanted }), (vec![3, 2, 1], None));
}

#[tokio::test]
async fn a_span_of_time_is_found_without_looking_at_what_is_outside_of_it() {
    let store = Store::new();
    let events = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<30000)
        INSERT INTO event SELECT i, i*1000, 's', 't', NULL, 0, '[]', x'', 0, x'', '' FROM n";
    store.db().execute(events, []).unwrap();
    // One that came in after the clock was set back by half a minute, and a gap.
    store.db().execute("UPDATE event SET received_at=70000 WHERE seq=100", []).unwrap();
    store.db().execute("DELETE FROM event WHERE seq BETWEEN 60 AND 71", []).unwrap();
    for (received, expected) in [
        (70_000..74_000, vec![100, 73, 72]),
        (0..2_000, vec![1]),
        (29_999_000..u64::MAX, vec![30_000, 29_999]),
        (u64::MAX - 1..u64::MAX, vec![]),
        (40_000_000..u64::MAX, vec![]),
    ] {
        let filter = Filter { received: Some(received), limit: 100, ..Filter::default() };
        assert_eq!(seqs(&store, &filter), (expected, None), "{filter:?}");
    }
}

#[tokio::test]
async fn deliveries_that_are_asked_for_are_found_in_the_queue_too() {
    let store = Store::new();
    store.append("a", None, &["r", "q"]).await.unwrap();
    store.append("b", None, &["r"]).await.unwrap();
    store.append("c", None, &[]).await.unwrap();
    let first = store.lease().await;
    store.retry_at(first, store.ledger.now() + 3_600_000);
    let queue = store.lease().await;
    store.ack(queue);
    store.until("done", 1).await;
    let find = |state: Option<Option<State>>, route: Option<&str>| {
        let route = route.map(str::to_owned);
        seqs(&store, &Filter { state, route, limit: 9, ..Filter::default() }).0
    };
    assert_eq!(find(Some(Some(State::Pending)), None), [1]);
    assert_eq!(find(Some(Some(State::Leased)), None), [2]);
    assert_eq!(find(Some(Some(State::Pending)), Some("q")), [0; 0]);
    assert_eq!(find(Some(Some(State::Done)), None), [1]);
    assert_eq!(find(Some(Some(State::Done)), Some("r")), [0; 0]);
    assert_eq!(find(None, Some("r")), [2, 1]);
    assert_eq!(find(None, Some("q")), [1]);
    assert_eq!(find(Some(None), None), [3]);
}

#[tokio::test]
async fn what_the_ledger_holds_nothing_of_is_told_without_looking_at_events() {
    let store = Store::new();
    store.append("a", None, &["r"]).await.unwrap();
    let lease = store.lease().await;
    let events = "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i+1 FROM n WHERE i<30000)
        INSERT INTO event SELECT i, 0, 's', 't', NULL, 0, '[]', x'', 0, x'', '' FROM n";
    store.db().execute(events, []).unwrap();
    let page = |state: Option<State>, route: Option<&str>| {
        let (state, route) = (state.map(Some), route.map(str::to_owned));
        seqs(&store, &Filter { state, route, limit: 9, ..Filter::default() })
    };
    let nothing = (Vec::new(), None);
    assert_eq!(page(Some(State::Done), None), nothing);
    assert_eq!(page(None, Some("gone")), nothing);
    assert_eq!(page(Some(State::Pending), Some("gone")), nothing);
    assert_eq!(page(Some(State::Pending), None).1, Some(20_001), "one is, further back");
    store.ack(lease);
    store.until("done", 1).await;
    assert_eq!(page(Some(State::Pending), None), nothing);
    assert_eq!(page(Some(State::Parked), Some("r")), nothing);
    assert_eq!(page(Some(State::Done), Some("r")).1, Some(20_001));
}

#[tokio::test]
async fn dead_letters_are_grouped_by_what_their_causes_have_in_common() {
    let store = Store::new();
    rejected(&store, 5, "no order").await;
    rejected(&store, 2, "no user").await;
    store.until("dead", 7).await;
    let letters = store.ledger.reader().dead_letters(None).unwrap();
    let shown: Vec<(&str, u64, u64)> = letters
        .groups
        .iter()
        .map(|Group { cause, count, example, .. }| (&**cause, *count, example.seq()))
        .collect();
    assert_eq!(shown, [("no order …", 5, 5), ("no user …", 2, 7)]);
    assert!(letters.next.is_none());
    assert!(letters.groups.iter().all(|group| group.first <= group.last && group.first > 0));
}

#[tokio::test]
async fn more_groups_than_one_answer_holds_come_in_the_next() {
    let store = Store::new();
    let letters = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<1500)
        INSERT INTO delivery(id, route, state, attempts, cause, started_at)
        SELECT i<<16, 'r' || i, 'dead', 1, 'c', i FROM n";
    store.db().execute(letters, []).unwrap();
    let reader = store.ledger.reader();
    let first = reader.dead_letters(None).unwrap();
    let rest = reader.dead_letters(first.next).unwrap();
    assert_eq!((first.groups.len(), rest.groups.len(), rest.next), (1_000, 500, None));
}
