//! What the writer knows of each route: its number, what of it is not settled, and whether its
//! deliveries are held.
//!
//! That a delivery is parked is a fact of its route: it stays where it is, and is not leased.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use prometheus::IntGauge;
use rusqlite::{Connection, params};

use super::queue::Row;
use super::schema::ORDINAL_BITS;
use crate::delivery::Next;
use crate::metrics::Metrics;

/// Why a route's deliveries are parked that router.toml does not name.
const REMOVED: &str = "router.toml has no such route any more";
/// Why they are when it was asked for.
const PAUSED: &str = "the route was paused by request";

/// How the deliveries of a route are to be treated from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The route's name.
    pub route: Arc<str>,
    /// Why its deliveries are parked, if they are.
    pub held: Option<Arc<str>>,
    /// Whether it keeps deliveries of one value in order.
    pub ordered: bool,
}

/// The routes whose deliveries are parked, and why.
pub type Holds = HashMap<Arc<str>, Arc<str>>;

/// What of each route is not settled, and its bytes, as everyone sees it: as of the last commit.
#[derive(Debug, Clone, Default)]
pub struct Unsettled(Arc<RwLock<HashMap<Arc<str>, [IntGauge; 2]>>>);

impl Unsettled {
    /// Deliveries of a route, and their bytes.
    pub fn of(&self, route: &str) -> (i64, i64) {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(route).map_or((0, 0), |[events, bytes]| (events.get(), bytes.get()))
    }

    fn know(&self, route: &Arc<str>, shown: &[IntGauge; 2]) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(route.clone(), shown.clone());
    }
}

/// A route that has, or had, deliveries.
#[derive(Debug)]
pub struct Known {
    /// Its name.
    pub name: Arc<str>,
    /// Deliveries that are not settled.
    pub events: i64,
    /// What they count for.
    pub bytes: i64,
    paused: bool,
    held: bool,
    shown: [IntGauge; 2],
}

impl Known {
    /// Whether its deliveries are parked.
    pub fn is_held(&self) -> bool {
        self.held
    }

    fn show(&self) {
        let [events, bytes] = &self.shown;
        events.set(self.events);
        bytes.set(self.bytes);
    }
}

/// What a transaction does to deliveries, to be told when it is on disk.
#[derive(Debug, Default)]
pub struct Moved {
    /// How many came to be done, or are so no more.
    pub done: i64,
    /// How many came to be dead letters, or are so no more.
    pub dead: i64,
    /// What is due at once of new events.
    pub fresh: Vec<Row>,
    /// What came into the queue when others were settled.
    pub next: Vec<Row>,
    unsettled: BTreeMap<i64, (i64, i64)>,
}

impl Moved {
    /// So many deliveries of a route, with so many bytes, are to be settled.
    pub fn unsettled(&mut self, route: i64, events: i64, bytes: i64) {
        let moved = self.unsettled.entry(route).or_default();
        *moved = (moved.0 + events, moved.1 + bytes);
    }

    /// What is due at once of the event with that number, once [`fresh`](Self::fresh) is sorted.
    pub fn fresh_of(&self, seq: u64) -> &[Row] {
        let number = |row: &Row| row.delivery.cast_unsigned() >> ORDINAL_BITS;
        let first = self.fresh.partition_point(|row| number(row) < seq);
        let from = self.fresh.get(first..).unwrap_or_default();
        from.split_at(from.partition_point(|row| number(row) == seq)).0
    }

    /// A delivery was settled.
    pub fn came_to(&mut self, next: &Next) {
        match next {
            Next::Done => self.done += 1,
            Next::Dead => self.dead += 1,
            Next::RetryAt(_) => {}
        }
    }
}

/// All routes that the ledger knows.
#[derive(Debug)]
pub struct Routes {
    all: BTreeMap<i64, Known>,
    ids: HashMap<Arc<str>, i64>,
    rules: Option<HashMap<Arc<str>, Rule>>,
    changed: bool,
    metrics: Metrics,
    all_unsettled: Unsettled,
}

impl Routes {
    /// Reads those of the file. Until rules are given, only paused ones are held.
    pub fn read(db: &Connection, metrics: &Metrics) -> rusqlite::Result<Self> {
        let mut routes = Self {
            all: BTreeMap::new(),
            ids: HashMap::new(),
            rules: None,
            changed: true,
            metrics: metrics.clone(),
            all_unsettled: Unsettled::default(),
        };
        routes.read_again(db)?;
        Ok(routes)
    }

    /// Reads them again, after a transaction that was rolled back.
    pub fn read_again(&mut self, db: &Connection) -> rusqlite::Result<()> {
        self.all.clear();
        self.ids.clear();
        let mut select = db.prepare("SELECT id, name, events, bytes, paused FROM route")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let name: String = row.get(1)?;
            let (events, bytes, paused) = (row.get(2)?, row.get(3)?, row.get(4)?);
            self.know(row.get(0)?, name.into(), (events, bytes), paused);
        }
        Ok(())
    }

    fn know(&mut self, id: i64, name: Arc<str>, (events, bytes): (i64, i64), paused: bool) {
        let labels = [&*name];
        let shown = [
            self.metrics.backlog_events.with_label_values(&labels),
            self.metrics.backlog_bytes.with_label_values(&labels),
        ];
        self.all_unsettled.know(&name, &shown);
        let held = cause(&self.rules, &name, paused).is_some();
        self.changed = true;
        self.ids.insert(name.clone(), id);
        let known = Known { name, events, bytes, paused, held, shown };
        known.show();
        self.all.insert(id, known);
    }

    /// The number of a route; a new one gets its own.
    pub fn id(&mut self, db: &Connection, name: &Arc<str>) -> rusqlite::Result<i64> {
        if let Some(id) = self.ids.get(name) {
            return Ok(*id);
        }
        db.prepare_cached("INSERT INTO route(name) VALUES(?)")?.execute([name])?;
        let id = db.last_insert_rowid();
        self.know(id, name.clone(), (0, 0), false);
        Ok(id)
    }

    /// The routes and their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &Known)> {
        self.all.iter().map(|(id, known)| (*id, known))
    }

    /// Whether the deliveries of a route are parked.
    pub fn is_held(&self, id: i64) -> bool {
        self.all.get(&id).is_some_and(Known::is_held)
    }

    /// The name of a route.
    pub fn name(&self, id: i64) -> Option<&Arc<str>> {
        self.all.get(&id).map(|known| &known.name)
    }

    /// Deliveries and bytes of a route that are not settled, with what was moved since the last
    /// commit.
    pub fn unsettled(&self, name: &str, moved: &Moved) -> (i64, i64) {
        let Some((id, known)) = self.ids.get(name).and_then(|id| Some((id, self.all.get(id)?)))
        else {
            return (0, 0);
        };
        let (events, bytes) = moved.unsettled.get(id).copied().unwrap_or_default();
        (known.events + events, known.bytes + bytes)
    }

    /// What everyone may ask.
    pub fn all_unsettled(&self) -> Unsettled {
        self.all_unsettled.clone()
    }

    /// Writes what a transaction moved.
    pub fn write(&self, db: &Connection, moved: &Moved) -> rusqlite::Result<()> {
        for (id, (events, bytes)) in moved.unsettled.iter().filter(|(_, moved)| **moved != (0, 0)) {
            let sql = "UPDATE route SET events=events+?, bytes=bytes+? WHERE id=?";
            db.prepare_cached(sql)?.execute(params![events, bytes, id])?;
        }
        Ok(())
    }

    /// A transaction that moved these is on disk.
    pub fn moved(&mut self, moved: &Moved) {
        for (id, (events, bytes)) in &moved.unsettled {
            if let Some(known) = self.all.get_mut(id) {
                known.events += events;
                known.bytes += bytes;
                known.show();
            }
        }
    }

    /// Pauses or resumes a route by request.
    pub fn pause(
        &mut self,
        db: &Connection,
        name: &Arc<str>,
        paused: bool,
    ) -> rusqlite::Result<()> {
        let id = self.id(db, name)?;
        db.prepare_cached("UPDATE route SET paused=? WHERE id=?")?.execute(params![paused, id])?;
        if let Some(known) = self.all.get_mut(&id) {
            known.paused = paused;
            known.held = cause(&self.rules, name, paused).is_some();
        }
        self.changed = true;
        Ok(())
    }

    /// These rules are in force; gives the routes that keep no order from now on.
    pub fn rule(&mut self, rules: Vec<Rule>) -> Vec<i64> {
        let unordered = rules.iter().filter(|rule| !rule.ordered);
        let unordered = unordered.filter_map(|rule| self.ids.get(&rule.route).copied()).collect();
        let named = rules.into_iter().map(|rule| (rule.route.clone(), rule));
        self.rules = Some(named.collect());
        for known in self.all.values_mut() {
            known.held = cause(&self.rules, &known.name, known.paused).is_some();
        }
        self.changed = true;
        unordered
    }

    /// Whether others may be held, or there are others, than when this was asked last.
    pub fn have_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Everything that is held, and why.
    pub fn holds(&self) -> Holds {
        let known = self.all.values().map(|known| (&known.name, known.paused));
        let ruled = self.rules.iter().flat_map(HashMap::keys);
        let ruled = ruled.filter(|name| !self.ids.contains_key(*name)).map(|name| (name, false));
        let held = known
            .chain(ruled)
            .filter_map(|(name, paused)| Some((name.clone(), cause(&self.rules, name, paused)?)));
        held.collect()
    }
}

/// The routes that are paused by request.
pub fn paused(db: &Connection) -> rusqlite::Result<Holds> {
    let mut select = db.prepare("SELECT name FROM route WHERE paused")?;
    let names = select.query_map([], |row| row.get::<_, String>(0))?;
    names.map(|name| Ok((name?.into(), PAUSED.into()))).collect()
}

/// Why a route's deliveries are parked, if they are.
fn cause(rules: &Option<HashMap<Arc<str>, Rule>>, name: &str, paused: bool) -> Option<Arc<str>> {
    let held = match rules.as_ref().map(|rules| rules.get(name)) {
        Some(None) => return Some(REMOVED.into()),
        Some(Some(rule)) => rule.held.clone(),
        None => None,
    };
    if paused { Some(PAUSED.into()) } else { held }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_deliveries_are_parked() {
        let rule = |held: Option<&str>| {
            let rule = Rule { route: "r".into(), held: held.map(Arc::from), ordered: false };
            Some(HashMap::from([("r".into(), rule)]))
        };
        let missing = "handler h is missing";
        for (rules, paused, expected) in [
            (None, false, None),
            (None, true, Some(PAUSED)),
            (Some(HashMap::new()), false, Some(REMOVED)),
            (Some(HashMap::new()), true, Some(REMOVED)),
            (rule(None), false, None),
            (rule(None), true, Some(PAUSED)),
            (rule(Some(missing)), false, Some(missing)),
            (rule(Some(missing)), true, Some(PAUSED)),
        ] {
            assert_eq!(cause(&rules, "r", paused).as_deref(), expected, "{rules:?} {paused}");
        }
    }
}
