//! The statements on `waiting`: the deliveries of routes with `order_by`. Of each value the first is
//! in the queue as well; the others wait until it is settled.

use rusqlite::{Connection, OptionalExtension, params};

use super::dedupe::Order;
use super::queue::{self, AT_ONCE, Row};
use super::tables::Tables;

/// Deliveries that one commit frees at the most; few where tests want several steps.
pub const STEP: usize = if cfg!(test) { 10 } else { 1_000 };

/// A delivery, fresh or replayed, takes its place behind the others of its value; true when there
/// are none.
pub fn enter(db: &Connection, row: &Row, order: Order) -> rusqlite::Result<bool> {
    let sql = "SELECT max(place) FROM waiting WHERE route=? AND key=?";
    let mut select = db.prepare_cached(sql)?;
    let last: Option<i64> = select.query_row(params![row.route, order.0], |row| row.get(0))?;
    let place = last.map_or(0, |last| last + 1);
    let row = params![row.route, order.0, place, row.delivery, row.bytes, last.is_none()];
    db.prepare_cached("INSERT INTO waiting VALUES(?,?,?,?,?,?)")?.execute(row)?;
    Ok(last.is_none())
}

/// A delivery is settled: the first of its value goes to the queue, and is given back, unless it is
/// there already. A route that was unordered for a while may have settled one that has no place any
/// more, while others still have theirs.
pub fn leave(tables: &mut Tables<'_>, row: &Row, order: Order) -> rusqlite::Result<Option<Row>> {
    let (route, key) = (row.route, order.0);
    let sql = "DELETE FROM waiting WHERE route=?1 AND key=?2 AND delivery=?3 AND place=
        (SELECT min(place) FROM waiting WHERE route=?1 AND key=?2)";
    tables.prepare_cached(sql)?.execute(params![route, key, row.delivery])?;
    let sql = "UPDATE waiting SET queued=1 WHERE route=?1 AND key=?2 AND NOT queued AND place=
        (SELECT min(place) FROM waiting WHERE route=?1 AND key=?2) RETURNING delivery, bytes";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let next = tables.prepare_cached(sql)?.query_row(params![route, key], row).optional()?;
    let Some((delivery, bytes)) = next else { return Ok(None) };
    let next = due(tables, route, delivery, bytes, Some(order))?;
    queue::add(tables, &next)?;
    Ok(Some(next))
}

/// Whether there is a delivery of a route that has a place in an order.
pub fn is_kept(db: &Connection, route: i64) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM waiting WHERE route=? LIMIT 1")?.exists([route])
}

/// Takes the order away from a step's worth of a route's deliveries; false when none was left.
pub fn release(tables: &mut Tables<'_>, route: i64) -> rusqlite::Result<bool> {
    let rows = first_waiting(tables, route)?;
    let sql = "DELETE FROM waiting WHERE route=? AND key=? AND place=?";
    for (key, place, delivery, bytes, queued) in &rows {
        tables.prepare_cached(sql)?.execute(params![route, key, place])?;
        if !queued {
            let next = due(tables, route, *delivery, *bytes, None)?;
            queue::add(tables, &next)?;
        }
    }
    Ok(!rows.is_empty())
}

/// Key, place, delivery and bytes of what a step takes the order away from, and whether it is queued.
type Waiting = (i64, i64, i64, i64, bool);

fn first_waiting(db: &Connection, route: i64) -> rusqlite::Result<Vec<Waiting>> {
    let sql = "SELECT key, place, delivery, bytes, queued FROM waiting WHERE route=? LIMIT ?";
    let mut select = db.prepare_cached(sql)?;
    let rows = select.query_map(params![route, STEP], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
    })?;
    rows.collect()
}

/// A delivery that waited; one that is replayed has had attempts.
fn due(
    db: &Connection,
    route: i64,
    delivery: i64,
    bytes: i64,
    order: Option<Order>,
) -> rusqlite::Result<Row> {
    let mut select = db.prepare_cached("SELECT attempts FROM delivery WHERE id=?")?;
    let attempts: Option<u32> = select.query_row([delivery], |row| row.get(0)).optional()?;
    let attempt = attempts.unwrap_or(0) + 1;
    Ok(Row { route, due_at: AT_ONCE, delivery, attempt, bytes, order })
}
