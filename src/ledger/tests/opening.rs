//! Opening, closing, and what outlives both.

use std::os::unix::fs::PermissionsExt;

use super::*;

const LARGE: usize = 300 * 1024;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn only_its_owner_can_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("new").join("data");
    let ledger = open(&data, &Metrics::new().unwrap()).unwrap();
    ledger.append(event(&b"x".repeat(LARGE)), None, vec![target("r")]).await.unwrap();
    for (name, expected) in [
        ("", 0o700),
        ("bodies", 0o700),
        ("ledger.db", 0o600),
        ("ledger.db-wal", 0o600),
        ("ledger.db-shm", 0o600),
    ] {
        assert_eq!(mode(&data.join(name)), expected, "{name}");
    }
    let [body] = &files(&data.join("bodies"))[..] else { panic!("one body") };
    assert_eq!(mode(body), 0o600);
}

#[tokio::test]
async fn events_come_back_from_the_disk_as_they_were() {
    let store = Store::new();
    let noise: String = (0..9_000_u32).map(|n| char::from(33 + (n * n % 91) as u8)).collect();
    let bodies = [String::new(), "{}".to_owned(), "x".repeat(9_000), noise, "y".repeat(LARGE)];
    for body in &bodies {
        store.append(body, None, &["r"]).await.unwrap();
    }
    let store = store.reopen();
    for body in &bodies {
        let lease = store.lease().await;
        let (_, found, _) = store.ledger.event(&lease).unwrap();
        let expected = event(body.as_bytes());
        assert_eq!(found.body(), expected.body());
        assert_eq!((found.source(), found.kind()), (expected.source(), expected.kind()));
        assert_eq!((found.headers(), found.secret()), (expected.headers(), expected.secret()));
        let sorted = |event: &Event| {
            let mut attributes = event.attributes().to_vec();
            attributes.sort();
            attributes
        };
        assert_eq!(sorted(&found), sorted(&expected));
    }
}

#[tokio::test]
async fn numbers_are_never_given_twice() {
    let mut store = Store::new();
    let mut last = 0;
    for _ in 0..3 {
        for routes in [&[][..], &["r"]] {
            let same = store.same(&last.to_string());
            let id = store.append("x", Some(same), routes).await.unwrap().id;
            assert!(id.seq() > last);
            last = id.seq();
        }
        // Events go before their de-duplication entries do.
        store.db().execute_batch("DELETE FROM event").unwrap();
        store = store.reopen();
    }
}

#[tokio::test]
async fn a_duplicate_is_known_after_a_restart_and_a_crash() {
    let store = Store::new();
    let first = store.append("x", Some(store.same("1")), &["r"]).await.unwrap();
    let mut store = store.reopen();
    for crash in [false, true] {
        let again = store.append("y", Some(store.same("1")), &["r"]).await.unwrap();
        assert_eq!(again, Receipt { id: first.id, duplicate: true });
        store = if crash { store.crash() } else { store.reopen() };
    }
    assert_eq!(store.ledger.reader().show(first.id).unwrap().0.duplicates, 2);
    let other = store.append("x", Some(store.same("2")), &["r"]).await.unwrap();
    assert!(!other.duplicate);
}

#[tokio::test]
async fn the_last_handle_commits_what_waits_before_another_may_open_it() {
    let store = Store::new();
    store.append_many(100).await;
    for _ in 0..100 {
        let lease = store.lease().await;
        store.ack(lease);
    }
    let store = store.reopen();
    assert_eq!(store.ask("SELECT count(*) FROM delivery WHERE state='done'"), 100);
}

#[tokio::test]
async fn after_the_close_events_are_refused() {
    let store = Store::new();
    store.ledger.close();
    let refused = store.append("x", None, &["r"]).await;
    assert_eq!(refused, Err(AppendError::Busy));
}

#[test]
fn one_at_a_time_may_have_it() {
    let store = Store::new();
    let metrics = Metrics::new().unwrap();
    let second = open(store.folder.path(), &metrics).err().unwrap();
    assert!(matches!(second, OpenError::InUse(_)));
    assert!(second.to_string().contains(store.folder.path().to_str().unwrap()), "{second}");
    store.reopen();
}

#[test]
fn what_is_no_ledger_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ledger.db"), "not a database, ".repeat(512)).unwrap();
    let error = open(folder.path(), &Metrics::new().unwrap()).err().unwrap();
    assert!(matches!(error, OpenError::File { .. }), "{error}");
}
