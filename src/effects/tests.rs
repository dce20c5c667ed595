//! Staging, against a model.

use proptest::prelude::*;

use super::*;

fn grants(bytes: u64) -> Arc<Grants> {
    let emit = ["a.b".to_owned(), "c".to_owned()];
    Arc::new(Grants { state: Some(bytes), emit: emit.into() })
}

fn staging(committed: Scratch, bytes: u64) -> Staging {
    Staging::new("h".into(), grants(bytes), Arc::new(committed), 0)
}

fn scratch(count: usize) -> Scratch {
    Scratch((0..count).map(|n| (format!("k{n:05}"), vec![0])).collect())
}

/// A set, as a handler asks for it.
fn set(staging: &mut Staging, key: &str, bytes: usize) -> Result<(), Refusal> {
    staging.put(key.to_owned(), Some(vec![0; bytes])).unwrap()
}

#[derive(Debug, Clone)]
enum Op {
    Get(u8),
    Set(u8, Vec<u8>),
    Delete(u8),
    List,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0..8u8).prop_map(Op::Get),
        (0..8u8, prop::collection::vec(any::<u8>(), 0..4))
            .prop_map(|(key, value)| Op::Set(key, value)),
        (0..8u8).prop_map(Op::Delete),
        Just(Op::List),
    ]
}

proptest! {
    #[test]
    fn an_attempt_reads_what_is_committed_and_what_it_wrote(
        committed in prop::collection::btree_map((0..8u8).prop_map(|key| key.to_string()), prop::collection::vec(any::<u8>(), 0..4), 0..6),
        ops in prop::collection::vec(op(), 0..40),
    ) {
        let mut model = committed.clone();
        let mut staging = staging(Scratch(committed.clone()), 1 << 20);
        for op in ops {
            match op {
                Op::Get(key) => {
                    let key = key.to_string();
                    let expected = model.get(&key).cloned();
                    prop_assert_eq!(staging.get(key).unwrap().unwrap(), expected);
                }
                Op::Set(key, value) => {
                    staging.put(key.to_string(), Some(value.clone())).unwrap().unwrap();
                    model.insert(key.to_string(), value);
                }
                Op::Delete(key) => {
                    staging.put(key.to_string(), None).unwrap().unwrap();
                    model.remove(&key.to_string());
                }
                Op::List => {
                    let (mut keys, next) = staging.list(None).unwrap().unwrap();
                    keys.sort();
                    prop_assert_eq!((keys, next), (model.keys().cloned().collect(), None));
                }
            }
        }
        let mut after = committed;
        for (key, value) in staging.into_effects().changes.writes {
            match value {
                Some(value) => after.insert(key, value),
                None => after.remove(&key),
            };
        }
        prop_assert_eq!(after, model);
    }
}

#[test]
fn what_was_read_is_noted_and_what_was_only_written_is_not() {
    let mut staging = staging(scratch(2), 1 << 20);
    for key in ["k00000", "gone"] {
        staging.get(key.to_owned()).unwrap().unwrap();
    }
    set(&mut staging, "k00001", 1).unwrap();
    staging.get("k00001".to_owned()).unwrap().unwrap();
    let changes = staging.into_effects().changes;
    let reads: Vec<_> = changes.reads.iter().map(|(key, seen)| (key.as_str(), *seen)).collect();
    assert_eq!(reads, [("gone", None), ("k00000", Some(1))]);
    assert_eq!(changes.listing, None);
}

#[test]
fn keys_and_values_are_bounded_to_the_last_byte() {
    let long = "k".repeat(KEY_BYTES);
    let mut staging = staging(Scratch::default(), 1 << 20);
    assert_eq!(set(&mut staging, &long, 0), Ok(()));
    assert_eq!(set(&mut staging, &(long + "k"), 0), Err(Refusal::Key(KEY_BYTES + 1)));
    assert_eq!(set(&mut staging, "", 0), Err(Refusal::Key(0)));
    assert_eq!(staging.get(String::new()).unwrap(), Err(Refusal::Key(0)));
    assert_eq!(set(&mut staging, "v", VALUE_BYTES), Ok(()));
    assert_eq!(set(&mut staging, "v", VALUE_BYTES + 1), Err(Refusal::Value(VALUE_BYTES + 1)));
}

#[test]
fn an_attempt_writes_so_much_and_no_more() {
    let mut staging = staging(Scratch::default(), 1 << 30);
    let each = WRITTEN_BYTES / 8;
    for n in 0..8 {
        // The same key every time: what is written over was written too.
        assert_eq!(set(&mut staging, "k", each - 1), Ok(()), "{n}");
    }
    assert_eq!(staging.put("k".to_owned(), None).unwrap(), Err(Refusal::Written));
}

#[test]
fn an_attempt_touches_so_many_keys_and_no_more() {
    let mut staging = staging(Scratch::default(), 1 << 30);
    for n in 0..TOUCHED_KEYS {
        let key = n.to_string();
        if n % 2 == 0 {
            staging.get(key).unwrap().unwrap();
        } else {
            set(&mut staging, &key, 1).unwrap();
        }
    }
    assert_eq!(set(&mut staging, "more", 1), Err(Refusal::Touched));
    assert_eq!(set(&mut staging, "0", 1), Ok(()), "it was touched before");
}

#[test]
fn a_state_is_full_at_its_last_byte_and_can_always_shrink() {
    // 10 keys of 7 bytes each with its value.
    let full = || staging(scratch(10), 70);
    assert_eq!(set(&mut full(), "k00000", 1), Ok(()), "it is the same size");
    assert!(matches!(set(&mut full(), "k00000", 2), Err(Refusal::Full { bytes: 71, .. })));
    assert!(matches!(set(&mut full(), "x", 0), Err(Refusal::Full { bytes: 71, keys: 11, .. })));
    let mut shrinks = full();
    shrinks.put("k00000".to_owned(), None).unwrap().unwrap();
    assert_eq!(set(&mut shrinks, "x", 6), Ok(()));
    let mut above = staging(scratch(10), 50);
    assert_eq!(above.put("k00001".to_owned(), None).unwrap(), Ok(()));
}

#[test]
fn a_state_has_so_many_keys_and_no_more() {
    let keys = |keys| Size { keys, bytes: 0 };
    assert!(keys(KEYS).may_follow(keys(KEYS - 1), 0));
    assert!(!keys(KEYS + 1).may_follow(keys(KEYS), 0));
    assert!(keys(KEYS + 1).may_follow(keys(KEYS + 2), 0));
}

#[test]
fn a_long_list_comes_in_pages_with_the_new_keys_last() {
    let mut staging = staging(scratch(PAGE_KEYS + 1), 1 << 20);
    set(&mut staging, "a", 0).unwrap();
    set(&mut staging, "k00003", 0).unwrap();
    staging.put("k00000".to_owned(), None).unwrap().unwrap();
    let (first, next) = staging.list(None).unwrap().unwrap();
    assert_eq!((first.len(), &*first[0]), (PAGE_KEYS - 1, "k00001"));
    let (last, end) = staging.list(next).unwrap().unwrap();
    assert_eq!((last, end), (vec![format!("k{PAGE_KEYS:05}"), "a".to_owned()], None));
    assert_eq!(staging.into_effects().changes.listing, Some(1));
}

#[test]
fn without_a_grant_nothing_is_staged_and_the_message_shows_the_line() {
    let mut none = Staging::new("h".into(), Arc::default(), Arc::new(Scratch::default()), 0);
    for refusal in [
        set(&mut none, "k", 1).unwrap_err(),
        none.get("k".to_owned()).unwrap().unwrap_err(),
        none.list(None).unwrap().unwrap_err(),
        none.open().unwrap_err(),
    ] {
        assert_eq!(
            refusal.to_string(),
            r#"not granted: this handler has no state; router.toml would grant it with state = { bytes = "16MiB" } in [handlers.h]"#
        );
    }
    let refusal = none.emit("a\n.b".to_owned(), Vec::new()).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        r#"not granted: this handler may not emit events of type a\n.b; router.toml would grant it with emit = ["a\n.b"] in [handlers.h]"#
    );
    assert!(none.into_effects().is_empty());
}

#[test]
fn emitted_events_are_bounded_in_number_bytes_and_depth() {
    let at = |depth| Staging::new("h".into(), grants(0), Arc::new(Scratch::default()), depth);
    let emit = |staging: &mut Staging, bytes| staging.emit("a.b".to_owned(), vec![0; bytes]);
    let mut many = at(0);
    (0..EMITTED_EVENTS).for_each(|_| emit(&mut many, 1).unwrap());
    assert_eq!(emit(&mut many, 0), Err(Refusal::Events));
    assert_eq!(many.into_effects().emitted.len(), EMITTED_EVENTS);
    let mut large = at(DEPTH - 1);
    assert_eq!(emit(&mut large, EMITTED_BYTES + 1), Err(Refusal::EventBytes));
    emit(&mut large, EMITTED_BYTES).unwrap();
    assert_eq!(emit(&mut large, 1), Err(Refusal::EventBytes));
    assert_eq!(emit(&mut at(DEPTH), 1), Err(Refusal::TooDeep));
}
