//! Why an event is where it is, in words: what verified it, what each route says to it, what was
//! tried, and what comes next.

use serde_json::{Value, json};

use super::show::show_delivery;
use crate::breaker::Breakers;
use crate::clock::rfc3339;
use crate::condition::Facts;
use crate::delivery::State;
use crate::event::{Event, EventId, UNKNOWN, UNTYPED};
use crate::ledger::{DeliveryRow, EventRow};
use crate::route::{EventGlobs, Mode, Route, Verdict};
use crate::snapshot::Snapshot;

/// All of it, at the stamp `now`. The routes are asked as they are now: the ledger keeps what they did,
/// not why. Without `breakers`, nothing is known of handlers.
pub fn explain(
    row: &EventRow,
    event: &Event,
    snapshot: &Snapshot,
    breakers: Option<&Breakers>,
    now: u64,
) -> Value {
    let facts = Facts::new(event);
    let mut routes: Vec<_> = snapshot.routes.iter().collect();
    routes.sort_by(|one, other| one.name.cmp(&other.name));
    let routes: Vec<Value> = routes
        .into_iter()
        .map(|route| {
            let delivered = row.deliveries.iter().any(|delivery| *delivery.route == *route.name);
            let (verdict, reason) = verdict(route, &route.verdict(&facts), event);
            json!({
                "route": &*route.name,
                "verdict": verdict,
                "reason": reason,
                "delivered": delivered,
            })
        })
        .collect();
    let deliveries = row.deliveries.iter().map(|delivery| {
        let mut shown = show_delivery(delivery, &snapshot.routes);
        let standing = Standing::of(&delivery.route, snapshot, breakers);
        let outlook = outlook(row.id, delivery, &standing, now);
        shown["next"] = outlook.next.into();
        shown["advice"] = outlook.advice.into();
        shown
    });
    json!({
        "id": row.id.to_string(),
        "source": row.source,
        "type": row.kind,
        "received_at": rfc3339(row.received_at),
        "duplicates": row.duplicates,
        "verified": row.verified,
        "proof": proof(event),
        "typed": typed(event),
        "routes": routes,
        "deliveries": deliveries.collect::<Vec<Value>>(),
    })
}

/// What vouches for the event.
fn proof(event: &Event) -> String {
    match event.secret() {
        Some(index) => {
            format!("secret {index} of those that the source had then matched; the first is 0")
        }
        None if event.is_verified() => "a key other than the source's secrets proved it".to_owned(),
        None => "nothing was verified: the source's scheme proves nothing".to_owned(),
    }
}

/// What its type rests on, where that is not plain to see.
fn typed(event: &Event) -> Option<&'static str> {
    match event.kind().as_ref() {
        UNKNOWN => Some("the type was not found where the source's `event_type` looks for it"),
        UNTYPED => Some("the source has no `event_type`"),
        _ => None,
    }
}

/// A verdict's name and its words.
fn verdict(route: &Route, verdict: &Verdict, event: &Event) -> (&'static str, String) {
    let when = route.when.as_ref().map(|when| when.text()).unwrap_or_default();
    match verdict {
        Verdict::Takes => ("takes", "takes it".to_owned()),
        Verdict::OtherSource => {
            ("other_source", format!("takes events of {} only", quoted(&route.sources)))
        }
        Verdict::OtherType => {
            let globs = match &route.events {
                EventGlobs::All => String::new(),
                EventGlobs::Any { texts, .. } => quoted(texts),
            };
            ("other_type", format!("takes type {globs}, and this is `{}`", event.kind()))
        }
        Verdict::ConditionIsFalse => ("condition_false", format!("`when` is false: {when}")),
        Verdict::CannotSay(failure) => {
            ("condition_failed", format!("`when` cannot be answered, {failure}: {when}"))
        }
    }
}

fn quoted(names: &[impl AsRef<str>]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    names.join(" or ")
}

/// How a delivery's route and handler stand now.
enum Standing<'a> {
    /// router.toml has no such route.
    NoRoute,
    /// It has.
    Route(&'a Route, HandlerNow<'a>),
}

/// What is known of a handler.
enum HandlerNow<'a> {
    /// It can be called, or none is; where its route failed steadily, at that stamp.
    Ready(Option<u64>),
    /// The one of this name has no file.
    Missing(&'a str),
    /// Its file cannot be used, for this reason.
    Bad(&'a str, String),
    /// No server runs that would know.
    Unknown,
}

impl<'a> Standing<'a> {
    fn of(route: &str, snapshot: &'a Snapshot, breakers: Option<&Breakers>) -> Self {
        let Some(route) = snapshot.routes.get(route) else { return Self::NoRoute };
        let Some(breakers) = breakers else { return Self::Route(route, HandlerNow::Unknown) };
        let handler = route.to.handler().map(|name| (&**name, snapshot.handlers.get(name)));
        let now = match handler {
            None | Some((_, Some(Ok(_)))) => HandlerNow::Ready(breakers.trial_at(&route.name)),
            Some((name, None)) => HandlerNow::Missing(name),
            Some((name, Some(Err(error)))) => HandlerNow::Bad(name, error.to_string()),
        };
        Self::Route(route, now)
    }

    /// Why nothing can run, and what helps.
    fn obstacle(&self, route: &str) -> Option<(String, String)> {
        match self {
            Self::NoRoute => Some((
                format!("router.toml has no route `{route}`"),
                format!("give it a route with name = \"{route}\": it goes on by itself"),
            )),
            Self::Route(_, HandlerNow::Missing(name)) => Some((
                format!("the handler `{name}` has no file"),
                format!("put {name}.wasm into `plugins`: it goes on by itself"),
            )),
            Self::Route(_, HandlerNow::Bad(name, error)) => Some((
                format!("the handler `{name}` cannot be loaded: {error}"),
                format!("replace {name}.wasm in `plugins`: it goes on by itself"),
            )),
            Self::Route(_, HandlerNow::Ready(_) | HandlerNow::Unknown) => None,
        }
    }
}

/// What comes next, and what a person can do about it.
#[derive(Debug, PartialEq, Eq)]
struct Outlook {
    next: String,
    advice: Option<String>,
}

impl Outlook {
    fn new(next: impl Into<String>, advice: Option<&str>) -> Self {
        Self { next: next.into(), advice: advice.map(str::to_owned) }
    }
}

fn outlook(id: EventId, delivery: &DeliveryRow, standing: &Standing<'_>, now: u64) -> Outlook {
    match delivery.state {
        State::Done => Outlook::new("nothing: it is done", None),
        State::Dead => dead(id, delivery, standing),
        State::Parked => parked(delivery, standing),
        State::Pending | State::Leased => pending(delivery, standing, now),
    }
}

fn dead(id: EventId, delivery: &DeliveryRow, standing: &Standing<'_>) -> Outlook {
    if let Standing::Route(route, _) = standing
        && route.mode == Mode::Sync
    {
        return Outlook::new("nothing, unless its sender sends it again: it was told", None);
    }
    let before = delivery.replay.as_ref().map_or(0, |replay| replay.attempts);
    let tried = (delivery.attempts.len() as u64).saturating_sub(before.into());
    let advice = format!("when it can be handled: hookyard replay {id} --route {}", delivery.route);
    let next = match delivery.attempts.last() {
        None => {
            let since = delivery.cause.as_ref().map(|cause| format!(", since {cause}"));
            format!("nothing: no attempt was made{}", since.unwrap_or_default())
        }
        Some(last) if last.outcome == "reject" => "nothing: the handler rejected it".to_owned(),
        Some(_) => format!("nothing: it is out of attempts after {tried}"),
    };
    Outlook { next, advice: Some(advice) }
}

fn parked(delivery: &DeliveryRow, standing: &Standing<'_>) -> Outlook {
    let cause = delivery.cause.as_deref().unwrap_or("it is parked");
    match standing {
        Standing::Route(_, HandlerNow::Unknown) => Outlook::new(
            format!("no server runs. It was parked because {cause}"),
            Some("`hookyard check` says whether the handler can be used now"),
        ),
        Standing::Route(route, HandlerNow::Ready(_)) => {
            let advice = if route.paused {
                "remove `paused = true` from router.toml: it goes on by itself".to_owned()
            } else {
                format!("to go on, POST /api/v1/routes/{}/resume", route.name)
            };
            Outlook { next: format!("nothing for now: {cause}"), advice: Some(advice) }
        }
        _ => {
            let (next, advice) = standing.obstacle(&delivery.route).unwrap_or_default();
            Outlook { next: format!("nothing while {next}"), advice: Some(advice) }
        }
    }
}

fn pending(delivery: &DeliveryRow, standing: &Standing<'_>, now: u64) -> Outlook {
    let before = delivery.replay.as_ref().map_or(0, |replay| replay.attempts);
    let n = (delivery.attempts.len() as u64).saturating_sub(before.into()) + 1;
    let attempt = match standing {
        Standing::Route(route, _) => format!("attempt {n} of {}", route.retry.attempts),
        Standing::NoRoute => format!("attempt {n}"),
    };
    let due_at = delivery.due_at.unwrap_or(0);
    if let Standing::Route(_, HandlerNow::Unknown) = standing {
        return Outlook::new(
            format!("{attempt}, when a server runs: none does now"),
            Some("`hookyard serve` goes on with it"),
        );
    }
    if let (Some(cause), []) = (&delivery.cause, &delivery.attempts[..]) {
        return Outlook::new(format!("{attempt}, but {cause}"), None);
    }
    if let Standing::Route(_, HandlerNow::Ready(Some(trial_at))) = standing {
        let trial = rfc3339(*trial_at);
        let next = format!(
            "{attempt}, but its route failed steadily: one delivery is tried at {trial}, and when that works all go on"
        );
        return Outlook::new(next, None);
    }
    let when = if due_at > now {
        format!("{attempt} in {}, at {}", span(due_at - now), rfc3339(due_at))
    } else {
        format!("{attempt} is due: it is under way, or waits for its turn")
    };
    match standing.obstacle(&delivery.route) {
        Some((what, advice)) => {
            Outlook { next: format!("{when}, but it will be parked: {what}"), advice: Some(advice) }
        }
        None => Outlook::new(when, None),
    }
}

/// Milliseconds as people say them.
fn span(ms: u64) -> String {
    match ms / 1_000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}
