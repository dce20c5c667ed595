//! Events as the API shows them, with what must not be seen left out.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::event::Event;
use crate::ledger::{AttemptRow, DeliveryRow, EventRow};
use crate::route::Table;
use crate::snapshot::Snapshot;

/// What stands for a value that must not be seen.
pub(super) const REDACTED: &str = "[redacted]";

/// Parts of names, in lower case, whose values are taken for signatures or tokens.
const TELLING: [&str; 8] =
    ["signature", "token", "secret", "hmac", "api-key", "api_key", "apikey", "password"];

/// An event on a page of events.
pub fn summary(row: &EventRow) -> Value {
    let deliveries: Vec<Value> = row
        .deliveries
        .iter()
        .map(|delivery| json!({ "route": delivery.route, "state": delivery.state.name() }))
        .collect();
    json!({
        "id": row.id.to_string(),
        "source": row.source,
        "type": row.kind,
        "received_at": rfc3339(row.received_at),
        "verified": row.verified,
        "duplicates": row.duplicates,
        "deliveries": deliveries,
    })
}

/// All of an event.
pub fn whole(row: &EventRow, event: &Event, snapshot: &Snapshot) -> Value {
    let is_hidden = hides(snapshot.signature_names(event.source()));
    let headers: Vec<(&str, Cow<'_, str>)> = event
        .headers()
        .iter()
        .map(|(name, value)| {
            let hidden = is_hidden(name);
            (name, if hidden { REDACTED.into() } else { String::from_utf8_lossy(value) })
        })
        .collect();
    let attributes: serde_json::Map<String, Value> = event
        .attributes()
        .iter()
        .map(|(name, value)| {
            let is_query = name == "query";
            let shown = if is_query { redacted_query(value, &is_hidden) } else { value.clone() };
            (name.clone(), shown.into())
        })
        .collect();
    let deliveries: Vec<Value> =
        row.deliveries.iter().map(|delivery| show_delivery(delivery, &snapshot.routes)).collect();
    let mut shown = json!({
        "id": row.id.to_string(),
        "source": row.source,
        "type": row.kind,
        "received_at": rfc3339(row.received_at),
        "verified": row.verified,
        "secret": event.secret(),
        "attributes": attributes,
        "headers": headers,
        "duplicates": row.duplicates,
        "deliveries": deliveries,
    });
    match str::from_utf8(event.body()) {
        Ok(text) => shown["body"] = text.into(),
        Err(_) => shown["body_base64"] = STANDARD.encode(event.body()).into(),
    }
    shown
}

/// A delivery with its attempts.
pub fn show_delivery(delivery: &DeliveryRow, routes: &Table) -> Value {
    let attempts: Vec<Value> = delivery.attempts.iter().map(show_attempt).collect();
    json!({
        "route": delivery.route,
        "handler": routes.get(&delivery.route).and_then(|route| Some(&**route.to.handler()?)),
        "state": delivery.state.name(),
        "due_at": delivery.due_at.filter(|at| *at > 0).map(rfc3339),
        "cause": delivery.cause,
        "replay": delivery.replay.as_ref().map(|replay| {
            json!({ "at": rfc3339(replay.at), "of": replay.origin })
        }),
        "attempts": attempts,
    })
}

fn show_attempt(attempt: &AttemptRow) -> Value {
    let logs = attempt.logs.as_deref().and_then(|logs| serde_json::from_str(logs).ok());
    json!({
        "n": attempt.n,
        "started_at": rfc3339(attempt.started_at),
        "duration_ms": attempt.duration_ms,
        "outcome": attempt.outcome,
        "error": attempt.error,
        "handler_version": Some(&attempt.version).filter(|version| !version.is_empty()),
        "logs": logs.unwrap_or_else(|| json!([])),
    })
}

pub(super) fn redacted_query(query: &str, is_hidden: impl Fn(&str) -> bool) -> String {
    let parameters = query.split('&').map(|parameter| match parameter.split_once('=') {
        Some((name, _)) if is_hidden(&decoded(name)) => Cow::Owned(format!("{name}={REDACTED}")),
        _ => Cow::Borrowed(parameter),
    });
    parameters.collect::<Vec<_>>().join("&")
}

/// A parameter's name as its receiver reads it.
fn decoded(name: &str) -> Cow<'_, str> {
    percent_decode_str(name).decode_utf8_lossy()
}

/// Says of a name whether its value must not be seen, where these hold signatures.
pub(super) fn hides(signatures: Vec<&str>) -> impl Fn(&str) -> bool {
    move |name| signatures.contains(&name) || is_telling(name)
}

fn is_telling(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    TELLING.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_in_a_query_are_not_seen() {
        assert_eq!(
            redacted_query("a=1&access_token=hush&Signature=abc&b", is_telling),
            "a=1&access_token=[redacted]&Signature=[redacted]&b"
        );
        // However its name is written.
        assert_eq!(
            redacted_query("%74oken=hush&Si%67nature=abc&%zz=1&%ff=2", is_telling),
            "%74oken=[redacted]&Si%67nature=[redacted]&%zz=1&%ff=2"
        );
    }

    #[test]
    fn names_tell_what_must_not_be_seen() {
        for (name, telling) in [
            ("x-hub-signature-256", true),
            ("x-gitlab-token", true),
            ("x-shopify-hmac-sha256", true),
            ("API_KEY", true),
            ("content-type", false),
            ("x-github-event", false),
        ] {
            assert_eq!(is_telling(name), telling, "{name}");
        }
    }
}
