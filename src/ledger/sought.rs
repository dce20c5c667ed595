//! What can be told of an event before its deliveries are read: most that are not asked for are
//! passed over by that.

use rusqlite::{Connection, OptionalExtension, params};

use super::schema::{self, ORDINAL_BITS};
use crate::delivery::State;

/// What an event must have for one of its deliveries to be asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Sought {
    /// A delivery on the route of that number.
    route: Option<i64>,
    /// One that is not settled.
    open: bool,
}

impl Sought {
    /// What is sought of the route of that name, or any, in that state, or any; `None` where the
    /// ledger holds nothing of it.
    pub fn of(
        db: &Connection,
        route: Option<&str>,
        state: Option<State>,
    ) -> rusqlite::Result<Option<Self>> {
        let open = matches!(state, Some(State::Pending | State::Leased | State::Parked));
        let sought = Self { open, route: None };
        if state == Some(State::Done) && schema::value::<i64>(db, State::Done.name())? == 0 {
            return Ok(None);
        }
        let Some(name) = route else {
            let open = "SELECT 1 FROM route WHERE events>0 LIMIT 1";
            let there_is = !sought.open || db.prepare_cached(open)?.exists([])?;
            return Ok(there_is.then_some(sought));
        };
        let sql = "SELECT id FROM route WHERE name=? AND (events>0 OR NOT ?)";
        let mut select = db.prepare_cached(sql)?;
        let row = params![name, sought.open];
        let route: Option<i64> = select.query_row(row, |row| row.get(0)).optional()?;
        Ok(route.map(|route| Self { route: Some(route), ..sought }))
    }

    /// Whether an event that so many routes took may have it.
    pub fn may_be(&self, db: &Connection, seq: u64, routes: u64) -> rusqlite::Result<bool> {
        if let Some(route) = self.route {
            let mut select = db.prepare_cached("SELECT targets FROM event WHERE seq=?")?;
            let targets: String = select.query_row([seq], |row| row.get(0))?;
            if !targets.split(',').any(|target| target.parse() == Ok(route)) {
                return Ok(false);
            }
        }
        if !self.open {
            return Ok(true);
        }
        let sql = "SELECT count(*) FROM delivery WHERE id>=? AND id<? AND state IN ('done','dead')";
        let [first, end] = [seq, seq + 1].map(|seq| seq << ORDINAL_BITS);
        let settled: u64 = db.prepare_cached(sql)?.query_row([first, end], |row| row.get(0))?;
        Ok(settled < routes)
    }
}
