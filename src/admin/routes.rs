//! What the API answers about routes, and pausing them.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use http::StatusCode;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{Admin, Answer, NoAnswer, blocking, error, json_answer};
use crate::breaker::State;
use crate::clock::rfc3339;
use crate::delivery::Full;
use crate::ledger::{ReadError, RouteRow};
use crate::route::{Mode, Route};

/// Where routes are listed, and under which they are paused and resumed.
pub(super) const ROUTES: &str = "/api/v1/routes";

/// What a path asks for: a route's name, and whether to pause it.
pub(super) fn asked(path: &str) -> Option<(String, bool)> {
    let rest = path.strip_prefix(ROUTES)?.strip_prefix('/')?;
    let (name, verb) = rest.rsplit_once('/')?;
    let paused = match verb {
        "pause" => true,
        "resume" => false,
        _ => return None,
    };
    Some((percent_decode_str(name).decode_utf8().ok()?.into_owned(), paused))
}

impl Admin {
    /// `GET /api/v1/routes`: those of router.toml, and those that deliveries are left of.
    pub(super) fn routes(&self) -> Answer {
        match self.all_routes() {
            Ok(all) => {
                let items: Vec<Value> = all.into_values().collect();
                json_answer(StatusCode::OK, &json!({ "items": items }))
            }
            Err(problem) => unreadable(problem),
        }
    }

    /// `POST /api/v1/routes/{name}/pause` and `/resume`.
    pub(super) async fn pause(self: Arc<Self>, name: String, paused: bool) -> Answer {
        let before = self.clone().route(name.clone()).await;
        if before.status() != StatusCode::OK {
            return before;
        }
        match self.ledger.pause(name.as_str().into(), paused).await {
            Ok(()) => {
                self.breakers.try_again(self.ledger.now(), |route| !paused && route == name);
                self.route(name).await
            }
            Err(_) => error(StatusCode::SERVICE_UNAVAILABLE, "the ledger cannot be written"),
        }
    }

    /// One route, as it is listed.
    async fn route(self: Arc<Self>, name: String) -> Answer {
        blocking(move || match self.all_routes().map(|mut all| all.remove(&name)) {
            Ok(Some(route)) => json_answer(StatusCode::OK, &route),
            Ok(None) => error(StatusCode::NOT_FOUND, "there is no such route"),
            Err(problem) => unreadable(problem),
        })
        .await
    }

    fn all_routes(&self) -> Result<BTreeMap<String, Value>, ReadError> {
        let snapshot = self.current.load();
        let mut rows = self.ledger.reader().routes()?;
        rows.retain(|name, row| row.events > 0 || snapshot.routes.get(name).is_some());
        for route in snapshot.routes.iter() {
            rows.entry(route.name.to_string()).or_default();
        }
        let show = |(name, row): (String, RouteRow)| {
            let held = self.ledger.held(&name);
            let mut shown = show(&name, &row, held.as_deref(), snapshot.routes.get(&name));
            shown["breaker"] = breaker(self.breakers.state(&name));
            (name, shown)
        };
        Ok(rows.into_iter().map(show).collect())
    }
}

/// Whether a route that runs is left alone for a while, since it failed steadily.
fn breaker(state: State) -> Value {
    match state {
        State::Closed { failures, .. } => {
            json!({ "state": "closed", "failures": failures, "trial_at": null })
        }
        State::Open { trial_at, .. } => {
            json!({ "state": "open", "failures": null, "trial_at": rfc3339(trial_at) })
        }
    }
}

fn unreadable(problem: ReadError) -> Answer {
    let NoAnswer { status, message } = problem.into();
    error(status, &message)
}

fn show(name: &str, row: &RouteRow, held: Option<&str>, route: Option<&Arc<Route>>) -> Value {
    let by_file = route.is_some_and(|route| route.paused);
    let by = [("router.toml", by_file), ("request", row.paused)].into_iter();
    let paused_by: Vec<&str> = by.filter(|(_, pauses)| *pauses).map(|(who, _)| who).collect();
    let state = match held {
        None => "running",
        Some(_) if route.is_some() && !paused_by.is_empty() => "paused",
        Some(_) => "parked",
    };
    let (pending, parked) = if held.is_some() { (0, row.events) } else { (row.events, 0) };
    let mut shown = json!({
        "name": name,
        "state": state,
        "cause": held,
        "paused_by": paused_by,
        "pending": pending,
        "parked": parked,
        "bytes": row.bytes,
    });
    if let Some(route) = route {
        let mode = if route.mode == Mode::Sync { "sync" } else { "async" };
        let full = if route.backlog.full == Full::Dead { "dead" } else { "refuse" };
        let (events, bytes) = (route.backlog.events, route.backlog.bytes);
        shown["source"] =
            route.sources.iter().map(|name| name.to_string()).collect::<Vec<_>>().into();
        shown["handler"] = json!(route.to.handler().map(|name| &**name));
        shown["forward"] = json!(route.to.destination().map(|there| there.shown()));
        shown["mode"] = mode.into();
        shown["order_by"] = json!(route.order_by.as_ref().map(|pointer| pointer.as_str()));
        shown["concurrency"] = json!(route.concurrency.map(NonZeroUsize::get));
        shown["backlog"] = json!({ "events": events, "bytes": bytes, "full": full });
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_route_and_what_to_do() {
        let asks = |name: &str, paused| Some((name.to_owned(), paused));
        for (path, expected) in [
            ("/api/v1/routes/crm/pause", asks("crm", true)),
            ("/api/v1/routes/hotglue/crm-sync/resume", asks("hotglue/crm-sync", false)),
            ("/api/v1/routes/a%2Fb%3F/pause", asks("a/b?", true)),
            ("/api/v1/routes/%ff/pause", None),
            ("/api/v1/routes/crm/stop", None),
            ("/api/v1/routes/crm", None),
            ("/api/v1/routes", None),
            ("/api/v1/routesx/crm/pause", None),
        ] {
            assert_eq!(asked(path), expected, "{path}");
        }
    }
}
