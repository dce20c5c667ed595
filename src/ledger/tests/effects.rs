//! Effects: committed with what settles their delivery, or not at all.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::effects::{Changes, Committed, Grants, Staging};
use crate::ledger::Staged;
use crate::ledger::schema;
use crate::ledger::state;

fn staging(committed: Arc<dyn Committed>) -> Staging {
    let grants = Grants { state: Some(1 << 20), ..Grants::default() };
    Staging::new("h".into(), Arc::new(grants), committed, 0)
}

/// Changes without events.
fn only(changes: Changes) -> Staged {
    Staged { changes, emitted: Vec::new() }
}

/// Adds one to the number that a key holds, as a handler would.
fn count(store: &Store, key: &str) -> Staged {
    let mut attempt = staging(store.ledger.state());
    let before = attempt.get(key.to_owned()).unwrap().unwrap();
    let after = before.map_or(0, |value| value[0]) + 1;
    attempt.put(key.to_owned(), Some(vec![after])).unwrap().unwrap();
    only(attempt.into_effects().changes)
}

fn held(store: &Store, key: &str) -> Option<Vec<u8>> {
    store.ledger.state().get("h", key).unwrap().map(|stored| stored.value)
}

impl Store {
    async fn ack_with(&self, lease: Lease, staged: Staged) -> Result<(), Lease> {
        self.ledger.settle_with(lease, super::attempt(Outcome::Ack), Next::Done, staged).await
    }
}

#[tokio::test]
async fn what_an_attempt_wrote_and_emitted_is_there_when_it_is_settled() {
    let store = Store::new();
    store.append("a", None, &["r"]).await.unwrap();
    let lease = store.lease().await;
    let (id, parent, _) = store.ledger.event(&lease).unwrap();
    let child = parent.emitted(id, "h", "made".into(), Bytes::from_static(b"b"), wall_ms());
    let emitted = store.ledger.emitted(child.clone(), vec![target("q")]).await.unwrap();
    let staged = Staged { emitted: vec![emitted], ..count(&store, "n") };
    assert_eq!(held(&store, "n"), None);
    store.ack_with(lease, staged).await.unwrap();
    assert_eq!(held(&store, "n"), Some(vec![1]));
    let lease = store.lease().await;
    let (child_id, stored, _) = store.ledger.event(&lease).unwrap();
    assert_eq!((&*lease.route, &*stored), ("q", &child));
    assert_eq!((&**stored.source(), stored.depth()), ("handler:h", 1));
    let (row, shown) = store.ledger.reader().show(child_id).unwrap();
    assert_eq!((row.deliveries.len(), &*shown), (1, &child));
}

#[tokio::test]
async fn an_attempt_whose_reads_were_changed_gets_its_lease_back_and_changes_nothing() {
    let store = Store::new();
    store.append("a", None, &["r", "r"]).await.unwrap();
    let (one, other) = (store.lease().await, store.lease().await);
    let (first, second) = (count(&store, "n"), count(&store, "n"));
    store.ack_with(one, first).await.unwrap();
    let other = store.ack_with(other, second).await.unwrap_err();
    assert_eq!(held(&store, "n"), Some(vec![1]));
    store.until("done", 1).await;
    let again = count(&store, "n");
    store.ack_with(other, again).await.unwrap();
    assert_eq!(held(&store, "n"), Some(vec![2]));
    store.until("done", 2).await;
}

#[tokio::test]
async fn a_list_that_has_changed_is_found_out_and_one_that_has_not_is_not() {
    let store = Store::new();
    store.append("a", None, &["r"; 4]).await.unwrap();
    let list = || {
        let mut attempt = staging(store.ledger.state());
        attempt.list(None).unwrap().unwrap();
        only(attempt.into_effects().changes)
    };
    let write = |key: &str, value: Option<Vec<u8>>| {
        let mut attempt = staging(store.ledger.state());
        attempt.put(key.to_owned(), value).unwrap().unwrap();
        only(attempt.into_effects().changes)
    };
    let before = list();
    let settle = |lease, staged| store.ack_with(lease, staged);
    settle(store.lease().await, write("n", Some(vec![1]))).await.unwrap();
    let lease = settle(store.lease().await, before).await.unwrap_err();
    let before = list();
    settle(store.lease().await, write("n", Some(vec![2]))).await.unwrap();
    settle(lease, before).await.unwrap();
    let before = list();
    settle(store.lease().await, write("n", None)).await.unwrap();
    store.append("b", None, &["r"]).await.unwrap();
    settle(store.lease().await, before).await.unwrap_err();
}

#[tokio::test]
async fn a_lease_that_was_settled_before_has_no_effects() {
    let store = Store::new();
    store.append("a", None, &["r"]).await.unwrap();
    let lease = store.lease().await;
    let again = Lease { row: lease.row, route: lease.route.clone(), event: None };
    let staged = count(&store, "n");
    store.ack_with(lease, staged).await.unwrap();
    let staged = count(&store, "n");
    store.ack_with(again, staged).await.unwrap();
    assert_eq!(held(&store, "n"), Some(vec![1]));
}

#[tokio::test]
async fn effects_survive_a_crash_and_what_was_not_settled_has_none() {
    let store = Store::new();
    store.append("a", None, &["r", "r"]).await.unwrap();
    let staged = count(&store, "n");
    store.ack_with(store.lease().await, staged).await.unwrap();
    drop((count(&store, "n"), store.lease().await));
    let store = store.crash();
    assert_eq!(held(&store, "n"), Some(vec![1]));
    let staged = count(&store, "n");
    store.ack_with(store.lease().await, staged).await.unwrap();
    assert_eq!(held(&store, "n"), Some(vec![2]));
}

#[tokio::test]
async fn a_state_that_others_filled_meanwhile_is_as_good_as_changed() {
    let store = Store::new();
    store.append("a", None, &["r", "r"]).await.unwrap();
    let write = |key: &str| {
        let grants = Grants { state: Some(10), ..Grants::default() };
        let mut attempt = Staging::new("h".into(), Arc::new(grants), store.ledger.state(), 0);
        attempt.put(key.to_owned(), Some(vec![0; 5])).unwrap().unwrap();
        only(attempt.into_effects().changes)
    };
    let (one, other) = (write("a"), write("b"));
    store.ack_with(store.lease().await, one).await.unwrap();
    store.ack_with(store.lease().await, other).await.unwrap_err();
}

/// What one attempt of the model does: it lists, or reads a key, and writes what it found and its
/// own number to another.
#[derive(Debug, Clone)]
struct Plan {
    read: Option<u8>,
    write: u8,
    delete: bool,
    begin: u8,
}

fn plan() -> impl Strategy<Value = Plan> {
    (prop::option::of(0..4u8), 0..4u8, any::<bool>(), 0..6u8)
        .prop_map(|(read, write, delete, begin)| Plan { read, write, delete, begin })
}

/// The key and value that an attempt writes, by what it reads.
fn attempt(
    n: usize,
    plan: &Plan,
    get: impl FnOnce(String) -> Option<Vec<u8>>,
    list: impl FnOnce() -> Vec<String>,
) -> (String, Option<Vec<u8>>) {
    let mut found = match plan.read {
        Some(key) => get(key.to_string()).unwrap_or_default(),
        None => list().concat().into_bytes(),
    };
    found.truncate(8);
    found.push(n as u8);
    (plan.write.to_string(), (!plan.delete).then_some(found))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Attempts begin in one order and settle in another. Those that were settled did what they
    /// would have done one after the other.
    #[test]
    fn attempts_of_one_handler_are_serializable(plans in prop::collection::vec(plan(), 1..12)) {
        let folder = tempfile::tempdir().unwrap();
        let (store, mut model) = (Store::open(folder, Stamps::start()), BTreeMap::<String, Vec<u8>>::new());
        let db = schema::open_writer(&store.path("ledger.db")).unwrap();
        let mut under_way = Vec::new();
        for (n, plan) in plans.iter().enumerate() {
            let mut staging = staging(store.ledger.state());
            let staged = std::cell::RefCell::new(&mut staging);
            let (key, value) = attempt(
                n,
                plan,
                |key| staged.borrow_mut().get(key).unwrap().unwrap(),
                || staged.borrow_mut().list(None).unwrap().unwrap().0,
            );
            staging.put(key, value).unwrap().unwrap();
            under_way.push((n, plan, staging.into_effects().changes));
            // The younger ones settle first, and some stay for later.
            while under_way.len() > usize::from(plan.begin) {
                let (n, plan, changes) = under_way.pop().unwrap();
                let Some(after) = state::check(&db, &changes).unwrap() else { continue };
                state::write(&db, &changes, &after).unwrap();
                let (key, value) = attempt(
                    n,
                    plan,
                    |key| model.get(&key).cloned(),
                    || model.keys().cloned().collect(),
                );
                match value {
                    Some(value) => model.insert(key, value),
                    None => model.remove(&key),
                };
            }
        }
        let state = store.ledger.state();
        let keys = state.list("h", 0).unwrap().keys;
        let found: BTreeMap<String, Vec<u8>> = keys
            .into_iter()
            .map(|key| (key.clone(), state.get("h", &key).unwrap().unwrap().value))
            .collect();
        let bytes = found.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum::<u64>();
        let size = state.size("h").unwrap();
        prop_assert_eq!((size.keys, size.bytes), (found.len() as u64, bytes));
        prop_assert_eq!(found, model);
    }
}
