//! The queue before the writer.

use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use tokio::sync::oneshot;

use super::*;
use crate::event::EventId;
use crate::ledger::Settle;
use crate::ledger::body::Packed;
use crate::ledger::inbox::Inbox;
use crate::ledger::queue::Row;

const MIB: usize = 1024 * 1024;

fn append(body: &Bytes) -> Append {
    let event = Arc::new(event(&[]));
    let bare = Append::bare(EventId::new(0, 0, 1), event, Packed::Raw(body.clone()));
    Append { reply: Some(oneshot::channel().0), ..bare }
}

fn lease(delivery: i64) -> Lease {
    let row = Row { route: 1, due_at: 0, delivery, attempt: 1, bytes: 1, order: None };
    Lease { row, route: "r".into(), event: None }
}

fn settle(delivery: i64) -> Settle {
    let (attempt, next) = (attempt(Outcome::Ack), Next::Done);
    Settle { lease: lease(delivery), attempt, next, effects: None, _held: None }
}

/// What is worth a commit now.
fn take(inbox: &Inbox) -> (usize, usize) {
    let batch = inbox.take(Some(Instant::now()));
    (batch.appends.len(), batch.settles.len())
}

#[test]
fn events_that_wait_are_bounded_in_number() {
    let (inbox, body) = (Inbox::default(), Bytes::new());
    let accepted = (0..20_000).filter(|_| inbox.append(append(&body)).is_ok()).count();
    assert_eq!(accepted, 16_384);
    assert_eq!(inbox.append(append(&body)), Err(AppendError::Busy));
    assert_eq!(take(&inbox), (1_024, 0));
    assert_eq!(inbox.append(append(&body)), Ok(()));
}

#[test]
fn events_that_wait_are_bounded_in_bytes() {
    let (inbox, body) = (Inbox::default(), Bytes::from(vec![0; MIB]));
    let accepted = (0..1_000).filter(|_| inbox.append(append(&body)).is_ok()).count();
    assert_eq!(accepted, 255, "256 MiB, headers included");
    while take(&inbox).0 > 0 {}
    let huge = Bytes::from(vec![0; 300 * MIB]);
    assert_eq!(inbox.append(append(&huge)), Ok(()), "alone, it may be larger");
    assert_eq!(inbox.append(append(&body)), Err(AppendError::Busy));
}

#[test]
fn a_commit_is_bounded_in_bytes() {
    let (inbox, body) = (Inbox::default(), Bytes::from(vec![0; 1_500_000]));
    for body in [&body, &body, &body, &Bytes::from(vec![0; 9 * MIB]), &body] {
        inbox.append(append(body)).unwrap();
    }
    let taken: Vec<_> = (0..5).map(|_| take(&inbox).0).collect();
    assert_eq!(taken, [2, 1, 1, 1, 0]);
}

#[test]
fn settlements_do_not_wait_for_ever() {
    for count in [1, 63, 64, 2_000] {
        let (inbox, (tell, told)) = (Arc::new(Inbox::default()), mpsc::channel());
        let writers = inbox.clone();
        // Not joined: it waits for ever when the test fails.
        thread::spawn(move || {
            let mut taken = 0;
            while taken < count {
                taken += writers.take(None).settles.len();
            }
            tell.send(taken)
        });
        (0..count).for_each(|key| inbox.settle(settle(key as i64)));
        assert_eq!(told.recv_timeout(PATIENCE), Ok(count));
    }
}

#[test]
fn the_writer_is_woken_for_everything_that_comes() {
    const EACH: usize = 2_000;
    let (inbox, body) = (Inbox::default(), Bytes::new());
    let taken = thread::scope(|threads| {
        let writer = threads.spawn(|| {
            let (mut appends, mut settles, mut given_back) = (0, 0, 0);
            loop {
                let batch = inbox.take(None);
                appends += batch.appends.len();
                settles += batch.settles.len();
                given_back += batch.given_back.len();
                if batch.last {
                    return (appends, settles, given_back);
                }
            }
        });
        let senders = [0, 1].map(|_| {
            threads.spawn(|| {
                for n in 0..EACH {
                    inbox.append(append(&body)).unwrap();
                    inbox.settle(settle(n as i64));
                    if n % 100 == 0 {
                        inbox.give_back(lease(n as i64));
                        thread::yield_now();
                    }
                }
            })
        });
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        inbox.close();
        writer.join().unwrap()
    });
    assert_eq!(taken, (2 * EACH, 2 * EACH, 2 * EACH / 100));
    assert_eq!(inbox.append(append(&body)), Err(AppendError::Busy));
}
