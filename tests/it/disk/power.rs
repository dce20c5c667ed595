//! Power cuts at any moment: what was answered is there afterwards, and what was done stays done.

use std::fs;
use std::path::Path;
use std::time::Duration;

use hookyard::ledger::{Ledger, Options, Reader, Retention};
use hookyard::metrics::Metrics;
use rusqlite::Connection;

use super::image::{Chance, Disk, Rest};
use super::load::{self, ROUTES, Told};
use super::trace::{Call, Trace};
use crate::yard::wait;

/// At how many moments power is cut, instead of a few; "all" is at each.
const CUTS: &str = "HOOKYARD_POWER_CUTS";
const SEED: &str = "HOOKYARD_SEED";

const RESTS: [Rest; 4] = [Rest::Lost, Rest::Kept, Rest::Some, Rest::Torn];

/// What must find no row.
const CONTRADICTIONS: [(&str, &str); 7] = [
    (
        "an event lacks a delivery, or has one too many",
        "SELECT seq FROM event WHERE routes <> (SELECT count(*) FROM (
            SELECT delivery FROM queue WHERE delivery >> 16 = seq UNION
            SELECT id FROM delivery WHERE id >> 16 = seq))",
    ),
    (
        "a settled delivery is in the queue",
        "SELECT id FROM delivery JOIN queue ON delivery = id WHERE state IN ('done', 'dead')",
    ),
    (
        "a pending delivery is not in the queue",
        "SELECT id FROM delivery WHERE state = 'pending'
            AND id NOT IN (SELECT delivery FROM queue)",
    ),
    (
        "the counts are wrong",
        "SELECT name FROM ledger JOIN (
            SELECT 'done' state, (SELECT count(*) FROM delivery WHERE state = 'done') n UNION ALL
            SELECT 'dead', (SELECT count(*) FROM delivery WHERE state = 'dead'))
            ON name = state WHERE value <> n",
    ),
    (
        "a route's counts are wrong",
        "SELECT name FROM route WHERE (events, bytes) <> (
            SELECT count(*), ifnull(sum(bytes), 0) FROM queue WHERE queue.route = route.id)",
    ),
    (
        "a file belongs to no event",
        "SELECT name FROM spooled EXCEPT SELECT CAST(body AS TEXT) FROM event WHERE form = 2",
    ),
    (
        "an event is not known to be a duplicate",
        "SELECT seq FROM event WHERE NOT EXISTS (
            SELECT 1 FROM dedupe WHERE instr(entries, unhex(printf('%016x', seq))))",
    ),
];

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

pub fn seed() -> u64 {
    let seed =
        variable(SEED).map_or_else(|| std::process::id().into(), |seed| seed.parse().unwrap());
    println!("{SEED}={seed}");
    seed
}

/// Some of the trace's calls, after which power is cut: every second of them is a sync.
pub fn moments(trace: &Trace, few: usize, chance: &mut Chance) -> Vec<usize> {
    let all = trace.calls.len();
    let few = match variable(CUTS).as_deref() {
        Some("all") => return (0..all).collect(),
        Some(count) => count.parse().unwrap(),
        None => few,
    };
    let is_sync = |call: &Call| matches!(call, Call::SyncBegins { .. } | Call::SyncEnds { .. });
    let syncs: Vec<usize> = (0..all).filter(|at| is_sync(&trace.calls[*at].1)).collect();
    let mut chosen: Vec<usize> = (0..few)
        .map(|n| if n % 2 == 0 { chance.below(all) } else { syncs[chance.below(syncs.len())] })
        .collect();
    chosen.push(all - 1);
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

/// Cuts power at these moments, until something is wrong afterwards.
pub fn cut(mut disk: Disk, trace: &Trace, told: &Told, moments: &[usize]) -> Result<(), String> {
    let mut from = 0;
    for at in moments {
        trace.calls[from..=*at].iter().for_each(|(_, call)| disk.apply(call));
        from = at + 1;
        let moment = trace.calls[*at].0;
        for rest in RESTS {
            let folder = tempfile::tempdir().unwrap();
            disk.cut_power(rest, folder.path());
            look(&folder.path().join("data"), told, moment)
                .map_err(|what| format!("power cut after call {at}, the rest {rest:?}: {what}"))?;
        }
    }
    Ok(())
}

/// Opens what a disk holds, and looks for what was told before the moment.
pub fn look(data: &Path, told: &Told, moment: usize) -> Result<(), String> {
    let options = Options {
        data: data.to_owned(),
        dedupe_window: Duration::from_secs(3_600),
        dedupe_memory: 1 << 20,
        min_free: 0,
        retention: Retention {
            done: Duration::MAX,
            dead: Duration::MAX,
            unrouted: Duration::MAX,
            bytes: u64::MAX,
        },
    };
    let ledger = Ledger::open(&options, &Metrics::new().unwrap()).map_err(|e| e.to_string())?;
    for acked in told.acked.iter().filter(|acked| acked.moment <= moment) {
        let (id, body) = &acked.what;
        let settled = told.settled.iter().any(|it| it.moment <= moment && it.what == *id);
        event(ledger.reader(), id, body, settled).map_err(|what| format!("{id}: {what}"))?;
    }
    drop(ledger);
    let db = Connection::open(data.join("ledger.db")).unwrap();
    contradictions(&db).map_err(|error| error.to_string())?.map_or(Ok(()), Err)
}

fn event(reader: &Reader, id: &str, body: &str, settled: bool) -> Result<(), String> {
    let (row, event) = reader.show(id.parse().unwrap()).map_err(|error| error.to_string())?;
    if event.body() != body.as_bytes() {
        return Err("it has another body".to_owned());
    }
    let routes = row.deliveries.iter().map(|delivery| &*delivery.route);
    if !routes.eq(ROUTES.map(|(route, _)| route)) {
        return Err(format!("its deliveries are {:?}", row.deliveries));
    }
    let ends = row.deliveries.iter().map(|delivery| delivery.state.name());
    if settled && !ends.eq(ROUTES.map(|(_, end)| end)) {
        return Err(format!("it was settled: {:?}", row.deliveries));
    }
    Ok(())
}

fn contradictions(db: &Connection) -> rusqlite::Result<Option<String>> {
    let whole: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    if whole != "ok" {
        return Ok(Some(whole));
    }
    for (what, sql) in CONTRADICTIONS {
        if db.prepare(sql)?.exists([])? {
            return Ok(Some(what.to_owned()));
        }
    }
    Ok(None)
}

#[test]
fn what_was_answered_survives_power_cuts() {
    let mut on = load::watched();
    on.yard.run();
    let told = load::post(&on, 0, 24);
    on.yard.kill();
    let (trace, mut chance) = (on.trace(), Chance(seed()));

    // The record is whole: with all of it kept, the files are those of the real disk.
    let mut disk = Disk::new(chance.0);
    trace.calls.iter().for_each(|(_, call)| disk.apply(call));
    let copy = tempfile::tempdir().unwrap();
    disk.cut_power(Rest::Kept, copy.path());
    for file in ["ledger.db", "ledger.db-wal"] {
        let at = |folder: &Path| fs::read(folder.join("data").join(file)).unwrap();
        assert!(at(copy.path()) == at(on.yard.folder.path()), "{file}");
    }

    let moments = moments(&trace, 24, &mut chance);
    println!(
        "{} cuts in {} calls, {} events",
        moments.len() * 4,
        trace.calls.len(),
        told.acked.len()
    );
    cut(Disk::new(chance.0), &trace, &told, &moments).unwrap();

    // And the test can tell: each of these syncs is needed, and a disk that lies about it loses.
    let loses = |about: &str, lies_about: fn(&Path) -> bool| {
        let survived = cut(Disk::lying(chance.0, lies_about), &trace, &told, &moments);
        println!("a disk that lies about {about}: {survived:?}");
        assert!(survived.is_err(), "a disk may lie about {about}, and nobody notices");
    };
    loses("the log", |path| path.ends_with("ledger.db-wal"));
    loses("the tables", |path| path.ends_with("ledger.db"));
    loses("bodies", |path| path.parent().is_some_and(|above| above.ends_with("bodies")));
    loses("the folder of bodies", |path| path.ends_with("bodies"));
}

#[test]
fn the_program_goes_on_from_what_a_power_cut_left() {
    let mut on = load::watched();
    on.yard.run();
    let told = load::post(&on, 0, 12);
    on.yard.kill();
    let (trace, mut chance) = (on.trace(), Chance(seed()));
    let at = chance.below(trace.calls.len());
    let mut disk = Disk::new(chance.0);
    trace.calls[..=at].iter().for_each(|(_, call)| disk.apply(call));
    fs::remove_dir_all(on.yard.path("data")).unwrap();
    disk.cut_power(Rest::Torn, on.yard.folder.path());
    on.yard.run();
    for acked in told.acked.iter().filter(|acked| acked.moment <= trace.calls[at].0) {
        let event = wait("it to be settled", || {
            let event = on.yard.event(&acked.what.0);
            load::is_settled(&event).then_some(event)
        });
        assert_eq!(event["body"], *acked.what.1);
    }
}
