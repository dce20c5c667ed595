//! Reading while the writer goes on.

use std::thread;

use super::*;
use crate::ledger::search::Filter;

#[tokio::test]
async fn an_event_is_shown_as_it_is_at_one_moment() {
    const EVENTS: usize = 300;
    let store = Store::new();
    let (shown, ledger) = (async_channel::unbounded(), store.ledger.clone());
    let reader = thread::spawn(move || {
        let mut fresh = 0;
        while let Ok((id, route)) = shown.1.recv_blocking() {
            loop {
                let (row, _) = ledger.reader().show(id).unwrap();
                let [delivery] = &row.deliveries[..] else { panic!("{row:?}") };
                assert_eq!(delivery.route, route);
                match &delivery.attempts[..] {
                    [] => fresh += 1,
                    [_] => break,
                    more => panic!("{more:?}"),
                }
            }
        }
        fresh
    });
    for _ in 0..EVENTS {
        let id = store.append("x", None, &["r"]).await.unwrap().id;
        shown.0.send((id, "r")).await.unwrap();
        let lease = store.lease().await;
        store.ack(lease);
    }
    drop(shown.0);
    assert!(reader.join().unwrap() > 0, "all were read too late to see anything");
}

#[tokio::test]
async fn events_are_listed_newest_first_page_by_page() {
    let store = Store::new();
    store.append_many(25).await;
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let filter = Filter { before, limit: 10, ..Filter::default() };
        let page = store.ledger.reader().list(&filter).unwrap();
        seen.extend(page.items.iter().map(|event| event.id.seq()));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    let expected: Vec<u64> = (1..=25).rev().collect();
    assert_eq!(seen, expected);
}
