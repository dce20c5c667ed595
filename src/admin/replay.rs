//! `POST /api/v1/replay`: a step of a replay. Whoever wants more asks again, from where it ended.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::questions::NoAnswer;
use super::{Admin, Answer, blocking_value, error, json_answer, query};
use crate::event::EventId;
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
    /// Replays the next deliveries that the body asks for, no more than a step.
    pub(super) async fn replay(self: Arc<Self>, body: &[u8]) -> Answer {
        let asked = match read(body) {
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

/// Reads the body: the parameters of a list of events, and what else there is to say.
fn read(body: &[u8]) -> Result<Asked, String> {
    let body: Result<Map<String, Value>, _> = serde_json::from_slice(body);
    let mut said = body.map_err(|error| format!("the body is no JSON object: {error}"))?;
    let text = |value: Value| match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(format!("expected a string, found {other}")),
    };
    let mut take = |name: &str| said.remove(name).map(text).transpose();
    let (id, to, cursor) = (take("id")?, take("to")?, take("cursor")?);
    let only = id.map(|id| id.parse::<EventId>().map_err(|error| error.to_string())).transpose()?;
    let after = cursor.map(|place| place.parse().map_err(|_| "`cursor` is no place of a step"));
    let dry_run = match said.remove("dry_run") {
        None => false,
        Some(Value::Bool(dry_run)) => dry_run,
        Some(_) => return Err("`dry_run` must be true or false".to_owned()),
    };
    if said.is_empty() && only.is_none() {
        return Err(
            "say which: an `id`, or a filter; \"state\": \"dead\" is all dead letters".into()
        );
    }
    let mut pairs = Vec::new();
    for (name, value) in said {
        pairs.push((name, text(value)?));
    }
    let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let filter = query::filter_of(pairs)?;
    check_state(&filter, to.is_some())?;
    Ok(Asked { filter, only, to, dry_run, after: after.transpose()? })
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
    fn a_body_that_is_wrong_is_told() {
        for (body, part) in [
            ("", "no JSON object"),
            ("[]", "no JSON object"),
            ("{}", "say which"),
            (r#"{"dry_run": true}"#, "say which"),
            (r#"{"id": "evt_1"}"#, "not an event id"),
            (r#"{"state": "pending"}"#, "goes on by itself"),
            (r#"{"state": "unrouted"}"#, "say one with `to`"),
            (r#"{"staet": "dead"}"#, "unknown parameter `staet`"),
            (r#"{"state": "dead", "cursor": "x"}"#, "`cursor` is no place"),
            (r#"{"state": "dead", "dry_run": 1}"#, "`dry_run` must be"),
            (r#"{"route": ["a"]}"#, "expected a string"),
        ] {
            let problem = read(body.as_bytes()).err().unwrap_or_else(|| panic!("{body}"));
            assert!(problem.contains(part), "{body}: {problem}");
        }
    }

    #[test]
    fn a_body_becomes_a_filter() {
        let body = r#"{"route": "r", "cause": "c", "since": 5, "to": "s", "cursor": "-7"}"#;
        let asked = read(body.as_bytes()).unwrap_or_else(|what| panic!("{what}"));
        assert_eq!((asked.filter.route.as_deref(), asked.to.as_deref()), (Some("r"), Some("s")));
        assert_eq!((asked.filter.received, asked.after), (Some(5..u64::MAX), Some(-7)));
    }
}
