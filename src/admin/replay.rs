//! `POST /api/v1/replay`: a step of a replay. Whoever wants more asks again, from where it ended.

use std::sync::Arc;

use http::StatusCode;
use serde_json::json;

use super::questions::NoAnswer;
use super::{Admin, Answer, blocking_value, error, json_answer, query};
use crate::event::{BadEventId, EventId};
use crate::ledger::{Filter, Match, Replayed};
use crate::route::{Mode, Route};
use crate::snapshot::Snapshot;

/// What is posted to, to replay.
pub(super) const REPLAY: &str = "/api/v1/replay";

/// What is to be replayed.
struct Asked {
    filter: Filter,
    only: Option<EventId>,
    to: Option<String>,
    dry_run: bool,
    after: Option<i64>,
}

/// What a step came to, before anything is changed.
struct Step {
    all: Vec<Replayed>,
    /// Deliveries of sync routes: their senders send them again.
    skipped: usize,
    next: Option<i64>,
}

impl Admin {
    /// Replays the next deliveries that the query asks for, no more than a step.
    pub(super) async fn replay(self: Arc<Self>, query: &str) -> Answer {
        let asked = match read(query) {
            Ok(asked) => asked,
            Err(what) => return error(StatusCode::BAD_REQUEST, &what),
        };
        let (admin, dry_run) = (self.clone(), asked.dry_run);
        let Step { all, skipped, next } = match blocking_value(move || admin.step(&asked)).await {
            Ok(step) => step,
            Err(NoAnswer { status, message }) => return error(status, &message),
        };
        let matched = all.len();
        let replayed = match dry_run || all.is_empty() {
            true => Ok(0),
            false => self.ledger.replay(all).await,
        };
        match replayed {
            Ok(replayed) => json_answer(
                StatusCode::OK,
                &json!({
                    "matched": matched,
                    "replayed": replayed,
                    "skipped": skipped,
                    "next": next.map(|place| place.to_string()),
                }),
            ),
            Err(_) => error(StatusCode::SERVICE_UNAVAILABLE, "the ledger cannot be written"),
        }
    }

    fn step(&self, asked: &Asked) -> Result<Step, NoAnswer> {
        let snapshot = self.current.load();
        if let Some(to) = &asked.to {
            check_target(&snapshot, to)?;
        }
        let found = self.ledger.reader().matching(&asked.filter, asked.only, asked.after)?;
        let (mut all, mut skipped) = (Vec::new(), 0);
        for one in found.items {
            let Some(name) = asked.to.as_deref().or(one.route.as_deref()) else { continue };
            let route = snapshot.routes.get(name);
            if route.is_some_and(|route| route.mode == Mode::Sync) {
                skipped += 1;
                continue;
            }
            all.push(self.replayed(&one, name, route)?);
        }
        Ok(Step { all, skipped, next: found.next })
    }

    fn replayed(
        &self,
        one: &Match,
        name: &str,
        route: Option<&Arc<Route>>,
    ) -> Result<Replayed, NoAnswer> {
        let order = match route.filter(|route| route.order_by.is_some()) {
            None => None,
            Some(route) => {
                let (_, event) = self.ledger.reader().show(one.event)?;
                route.order(&event).map(|value| self.ledger.order(&value))
            }
        };
        let origin = match &one.route {
            Some(route) => format!("{}/{route}", one.event),
            None => one.event.to_string(),
        };
        Ok(Replayed { seq: one.event.seq(), route: name.into(), order, bytes: one.bytes, origin })
    }
}

fn check_target(snapshot: &Snapshot, to: &str) -> Result<(), NoAnswer> {
    let wrong = |what| Err(NoAnswer::new(StatusCode::BAD_REQUEST, what));
    match snapshot.routes.get(to) {
        None => wrong(format!("router.toml has no route `{to}`")),
        Some(route) if route.mode == Mode::Sync => {
            wrong(format!("nobody would wait for an answer of the sync route `{to}`"))
        }
        Some(_) => Ok(()),
    }
}

/// Reads the query: the parameters of a list of events, and what else there is to say.
fn read(query: &str) -> Result<Asked, String> {
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let (mut only, mut to, mut dry_run, mut after) = (None, None, false, None);
    let mut filters = Vec::new();
    for (name, value) in &pairs {
        match &**name {
            "id" => only = Some(value.parse().map_err(|error: BadEventId| error.to_string())?),
            "to" => to = Some(value.to_string()),
            "dry_run" => {
                dry_run = value.parse().map_err(|_| "`dry_run` is true or false".to_owned())?;
            }
            "cursor" => {
                after =
                    Some(value.parse().map_err(|_| "`cursor` is no place of a step".to_owned())?);
            }
            "limit" => return Err("a replay is of all that match: it has no `limit`".to_owned()),
            name => filters.push((name, &**value)),
        }
    }
    if filters.is_empty() && only.is_none() {
        return Err("say which: an `id`, or a filter; `state=dead` is all dead letters".to_owned());
    }
    let filter = query::filter_of(filters.into_iter())?;
    check_state(&filter, to.is_some())?;
    Ok(Asked { filter, only, to, dry_run, after })
}

/// What is not settled goes on by itself.
fn check_state(filter: &Filter, has_target: bool) -> Result<(), String> {
    use crate::delivery::State::{Dead, Done};
    match filter.state {
        None | Some(Some(Dead | Done)) => Ok(()),
        Some(None) if has_target => Ok(()),
        Some(None) => Err("unrouted events have no route: say one with `to`".to_owned()),
        Some(Some(state)) => Err(format!(
            "what is {} goes on by itself: `state` is dead, done or unrouted",
            state.name()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_that_is_wrong_is_told() {
        for (query, part) in [
            ("", "say which"),
            ("dry_run=true", "say which"),
            ("limit=5", "it has no `limit`"),
            ("id=evt_1", "not an event id"),
            ("state=pending", "goes on by itself"),
            ("state=unrouted", "say one with `to`"),
            ("staet=dead", "unknown parameter `staet`"),
            ("state=dead&cursor=x", "`cursor` is no place"),
            ("state=dead&dry_run=1", "`dry_run` is true or false"),
        ] {
            let problem = read(query).err().unwrap_or_else(|| panic!("{query}"));
            assert!(problem.contains(part), "{query}: {problem}");
        }
    }

    #[test]
    fn a_query_becomes_a_filter() {
        let asked = read("route=a%2Fb&cause=c&since=5&to=s&cursor=-7&dry_run=true");
        let asked = asked.unwrap_or_else(|what| panic!("{what}"));
        assert_eq!((asked.filter.route.as_deref(), asked.to.as_deref()), (Some("a/b"), Some("s")));
        assert_eq!((asked.filter.received, asked.after), (Some(5..u64::MAX), Some(-7)));
        assert!(asked.dry_run);
    }
}
