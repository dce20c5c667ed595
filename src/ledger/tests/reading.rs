//! Reading while the writer goes on.

use std::thread;

use super::*;
use crate::ledger::search::Filter;

#[tokio::test]
async fn an_event_is_shown_as_it_is_at_one_moment() {
    const EVENTS: usize = 300;
    let store = Store::new();
    let (stored, ledger) = (async_channel::unbounded(), store.ledger.clone());
    let (saw_fresh, seen) = async_channel::unbounded();
    let reader = thread::spawn(move || {
        while let Ok(id) = stored.1.recv_blocking() {
            let mut told = false;
            loop {
                let (row, _) = ledger.reader().show(id).unwrap();
                let [delivery] = &row.deliveries[..] else { panic!("{row:?}") };
                assert_eq!(delivery.route, "r");
                match &delivery.attempts[..] {
                    [] if told => {}
                    [] => saw_fresh.send_blocking(()).unwrap(),
                    [_] => break,
                    more => panic!("{more:?}"),
                }
                told = true;
            }
        }
    });
    for _ in 0..EVENTS {
        stored.0.send(store.append("x", None, &["r"]).await.unwrap().id).await.unwrap();
        soon("it to be read", seen.recv()).await.unwrap();
        // It is settled while it is read again and again.
        let lease = store.lease().await;
        store.ack(lease);
    }
    drop(stored.0);
    reader.join().unwrap();
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
