//! Floods of large bodies, promised or sent: what they may cost in memory.

use crate::senders::{Sending, hotglue};
use crate::wire::Wire;
use crate::yard::{Yard, wait};

const SECRET: &str = "a secret of the tests";
const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The limit of a body when router.toml says nothing.
const LARGEST: usize = 25 * MIB;
const CONNECTIONS: usize = 400;

/// What all of them together may cost: less than one such body.
const FLAT: u64 = LARGEST as u64;

const SOURCES: &str = r#"
[sources.hotglue]
scheme = "hotglue"
secrets = [{ value = "a secret of the tests" }]
"#;

/// A yard that has served something, and its memory.
fn warm() -> (Yard, u64) {
    let yard = Yard::start(SOURCES, &[]);
    assert_eq!(hotglue(SECRET, "\"warm\"").to(&yard).status, 200);
    assert_eq!(hotglue("wrong", "{}").to(&yard).status, 401);
    let memory = yard.memory();
    (yard, memory)
}

fn is_flat(yard: &Yard, before: u64) {
    let (after, kib) = (yard.memory(), KIB as u64);
    assert!(after < before + FLAT, "{} KiB were {} KiB", after / kib, before / kib);
}

#[test]
fn large_bodies_that_are_promised_unsigned_are_refused_at_once() {
    let (yard, before) = warm();
    let unsigned = Sending::new("/hooks/hotglue", "");
    let head = unsigned.head(&format!("content-length: {LARGEST}\r\n\r\n"));
    let mut flood: Vec<_> = (0..CONNECTIONS).map(|_| Wire::to(yard.public())).collect();
    flood.iter_mut().for_each(|wire| wire.send(&head));
    for wire in &mut flood {
        assert_eq!(wire.answer().status, 401);
    }
    is_flat(&yard, before);
    assert_eq!(hotglue(SECRET, "{}").to(&yard).status, 200);
}

#[test]
fn large_bodies_that_are_sent_unsigned_are_not_kept() {
    let (yard, before) = warm();
    let bytes = Sending::new("/hooks/hotglue", vec![b'x'; LARGEST]).bytes("");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut wire = Wire::to(yard.public());
                // Who takes longer than the server lingers is cut off.
                let _sent = wire.try_send(&bytes);
                is_flat(&yard, before);
            });
        }
    });
    let refused = r#"hookyard_requests_total{result="unauthorized",source="hotglue"}"#;
    yard.reads(refused, 9.0);
}

#[test]
fn a_promise_reserves_nothing() {
    let (yard, before) = warm();
    let wrong = hotglue("wrong", "{}");
    let flood: Vec<_> = (0..CONNECTIONS).map(|_| wrong.promise(&yard, LARGEST)).collect();
    is_flat(&yard, before);
    let large = "x".repeat(MIB);
    assert_eq!(hotglue(SECRET, large).to(&yard).status, 200);
    drop(flood);
}

#[test]
fn beyond_the_memory_for_bodies_senders_are_told_to_come_again() {
    let yard = Yard::start(&format!("body_memory = \"1KiB\"{SOURCES}"), &[]);
    let (held, more) = ("x".repeat(KIB), "y".repeat(KIB / 2));
    let (first, second) = (hotglue(SECRET, &held), hotglue(SECRET, &more));
    let hold = || {
        let mut slow = first.promise(&yard, KIB);
        slow.send(&held[1..]);
        let told = second.to(&yard);
        (told.status != 200).then_some((slow, told))
    };
    let (mut slow, told) = wait("the memory to be taken", hold);
    assert_eq!((told.status, told.json()["error"].as_str()), (503, Some("unavailable")));
    let seconds: u64 = told.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds > 0);
    // What was begun is finished, and gives its share back; so does a sender that goes.
    slow.send("x");
    assert_eq!(slow.answer().status, 200);
    assert_eq!(second.to(&yard).status, 200);
    drop(wait("the memory to be taken", hold));
    wait("the memory to be free", || (second.to(&yard).status == 200).then_some(()));
    assert_eq!(first.to(&yard).status, 200);

    let over = hotglue(SECRET, "x".repeat(KIB + 1));
    assert_eq!(over.to(&yard).status, 503);
    let counted = r#"hookyard_requests_total{result="over_budget",source="hotglue"}"#;
    assert!(yard.metric(counted) >= 3.0);
}

#[test]
fn senders_that_break_off_leave_nothing_behind() {
    let (yard, before) = warm();
    let whole = hotglue(SECRET, "{}").bytes("");
    for round in 0..CONNECTIONS {
        Wire::to(yard.public()).send(&whole[..round % whole.len()]);
    }
    is_flat(&yard, before);
    let open = || std::fs::read_dir(format!("/proc/{}/fd", yard.pid())).unwrap().count();
    wait("the connections to be closed", || (open() < 100).then_some(()));
}
