//! Files of other layouts.

use super::*;
use crate::ledger::entries::{Entry, unpack};
use crate::ledger::schema::{self, SchemaError};

const STEPS: [&str; 2] =
    ["CREATE TABLE one(x); INSERT INTO one VALUES(1)", "CREATE TABLE two AS SELECT x FROM one"];

/// Takes a database through these steps, but for those that it has been through.
fn bring_up(db: &mut Connection, steps: &[&str]) -> Result<(), SchemaError> {
    let missing = schema::missing_steps(db, steps)?;
    Ok(schema::bring_up(db, missing, steps.len())?)
}

fn layout(db: &Connection) -> i64 {
    db.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_file_goes_through_the_steps_that_it_lacks() {
    for already in 0..=STEPS.len() {
        let mut db = Connection::open_in_memory().unwrap();
        bring_up(&mut db, &STEPS[..already]).unwrap();
        assert_eq!(layout(&db), already as i64);
        bring_up(&mut db, &STEPS).unwrap();
        assert_eq!(layout(&db), 2);
        let x: i64 = db.query_row("SELECT x FROM two", [], |row| row.get(0)).unwrap();
        assert_eq!(x, 1);
    }
}

#[test]
fn a_step_that_fails_leaves_the_file_as_it_was() {
    let mut db = Connection::open_in_memory().unwrap();
    bring_up(&mut db, &STEPS[..1]).unwrap();
    let failed = bring_up(&mut db, &[STEPS[0], STEPS[1], "CREATE TABLE one(x)"]);
    assert!(matches!(failed, Err(SchemaError::Sqlite(_))));
    assert_eq!(layout(&db), 1);
    bring_up(&mut db, &STEPS).unwrap();
}

/// One event with a delivery that is done, one that is pending and one that is parked, as layout 1
/// has them.
const LAYOUT_1: &str = r#"
INSERT INTO event VALUES(7, 1700000000000, 's', 't', NULL, 3, '{}', x'', 0, CAST('the body' AS BLOB));
INSERT INTO dedupe VALUES(7, 1700000000000, x'00112233445566778899aabbccddeeff');
INSERT INTO delivery VALUES
  (7 << 16, 'r', 'done', 1, NULL, NULL, 1700000000001, 5, 'ack', NULL, 'v', NULL),
  (7 << 16 | 2, 'p', 'parked', 1, NULL, 'missing', 1700000000001, 5, 'retry', 'x', 'v', NULL);
INSERT INTO queue VALUES(0, 7 << 16 | 1, 'q', 1);
UPDATE ledger SET value=1 WHERE name IN ('done', 'pending', 'parked');
PRAGMA user_version=1;
"#;

#[tokio::test]
async fn a_ledger_of_layout_1_opens_with_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let db = Connection::open(folder.path().join("ledger.db")).unwrap();
    db.execute_batch(include_str!("../layout/1.sql")).unwrap();
    db.execute_batch(LAYOUT_1).unwrap();
    drop(db);
    let store = Store::open(folder, Stamps::start());
    assert_eq!(layout(&store.db()), schema::VERSION as i64);
    let lease = store.lease().await;
    let (id, event, _) = store.ledger.event(&lease).unwrap();
    assert_eq!((id.seq(), &event.body()[..], &*lease.route), (7, &b"the body"[..], "q"));
    store.ack(lease);
    let lease = store.lease().await;
    assert_eq!((&*lease.route, lease.attempt()), ("p", 2));
    store.ack(lease);
    store.until("done", 3).await;
    let shown = store.ledger.reader().show(id).unwrap().0;
    let routes: Vec<_> = shown.deliveries.iter().map(|d| (&*d.route, d.attempts.len())).collect();
    assert_eq!(routes, [("r", 1), ("q", 1), ("p", 2)]);
}

#[test]
fn the_ids_that_an_older_layout_remembers_are_not_forgotten() {
    const IDS: &str = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM n WHERE n<250)
        INSERT INTO dedupe SELECT n, 1700000000000+n, unhex(printf('%032x', n)) FROM n;
        PRAGMA user_version=1";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    let db = Connection::open(&file).unwrap();
    db.execute_batch(include_str!("../layout/1.sql")).unwrap();
    db.execute_batch(IDS).unwrap();
    drop(db);
    let db = schema::open_writer(&file).unwrap();
    let mut select = db.prepare("SELECT entries FROM dedupe ORDER BY last").unwrap();
    let rows = select.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let entries: Vec<Entry> =
        rows.flat_map(|row| unpack(&row.unwrap()).collect::<Vec<_>>()).collect();
    let entry = |seq| {
        let same = Sameness::of_halves([0, seq]);
        Entry { seq, received_at: 1_700_000_000_000 + seq, same }
    };
    assert_eq!(entries, (1..=250).map(entry).collect::<Vec<_>>());
}

#[test]
fn the_ledger_of_a_later_version_is_refused_and_left_as_it_is() {
    let store = Store::new();
    let (file, metrics) = (store.path("ledger.db"), Metrics::new().unwrap());
    let Store { ledger, folder, .. } = store;
    drop(ledger);
    let db = Connection::open(&file).unwrap();
    let later = schema::VERSION + 1;
    db.execute_batch(&format!("PRAGMA journal_mode=DELETE; PRAGMA user_version={later}")).unwrap();
    drop(db);
    let before = fs::read(&file).unwrap();
    let error = open(folder.path(), &metrics).err().unwrap().to_string();
    assert!(error.contains(&format!("layout {later},")), "{error}");
    assert!(error.contains(file.to_str().unwrap()), "{error}");
    assert!(fs::read(&file).unwrap() == before);
}
