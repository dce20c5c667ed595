//! What an attempt must come to.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::delivery::Outcome;
use crate::effects::Emission;
use crate::handler::Called;

/// What is absent may be anything.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    outcome: Name,
    /// A part of the words for not handling it.
    reason: Option<String>,
    /// The reply's.
    status: Option<u16>,
    /// The reply's, whole.
    body: Option<String>,
    /// The lines that it logs, in order.
    log: Option<Vec<String>>,
    /// The events that it emits, in order.
    emit: Option<Vec<Emitted>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Name {
    Ack,
    Reply,
    Retry,
    Reject,
}

/// An event's type, and its body if that matters.
#[derive(Deserialize)]
#[serde(untagged, expecting = "in `emit`: neither a type nor {\"type\", \"body\"}")]
enum Emitted {
    Type(String),
    Whole(Whole),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    #[serde(rename = "type")]
    kind: String,
    /// A text byte for byte, or any other value as JSON.
    body: Value,
}

impl Expected {
    /// Whether a sender would wait for what is expected.
    pub fn is_reply(&self) -> bool {
        matches!(self.outcome, Name::Reply)
    }

    /// Whether an attempt came to that; the error says in what it did not.
    pub fn holds(&self, called: &Called) -> Result<(), String> {
        let outcome = &called.outcome;
        let error = outcome.error();
        let is_named = match self.outcome {
            Name::Ack => matches!(outcome, Outcome::Ack),
            Name::Reply => matches!(outcome, Outcome::Reply(_)),
            Name::Retry => matches!(outcome, Outcome::Retry { .. }),
            Name::Reject => matches!(outcome, Outcome::Reject(_)),
        };
        if !is_named {
            let expected = format!("{:?}", self.outcome).to_lowercase();
            let error = error.map(|error| format!(" ({error})")).unwrap_or_default();
            return Err(format!("expected {expected}, came to {}{error}", outcome.name()));
        }
        if let Some(part) = self
            .reason
            .as_ref()
            .filter(|part| !error.as_deref().unwrap_or_default().contains(part.as_str()))
        {
            let error = error.map_or_else(|| "none".to_owned(), |error| format!("{error:?}"));
            return Err(format!("expected the reason {part:?}, it was {error}"));
        }
        if let Outcome::Reply(reply) = outcome {
            differs("status", self.status.as_ref(), &reply.status)?;
            let body = String::from_utf8_lossy(&reply.body).into_owned();
            differs("body", self.body.as_ref(), &body)?;
        }
        differs("log", self.log.as_ref(), &logged(called))?;
        self.emitted(&called.effects.emitted)
    }

    fn emitted(&self, found: &[Emission]) -> Result<(), String> {
        let Some(expected) = &self.emit else { return Ok(()) };
        let is_it = |(expected, found): (&Emitted, &Emission)| expected.is(found);
        if expected.len() == found.len() && expected.iter().zip(found).all(is_it) {
            return Ok(());
        }
        let has_bodies = expected.iter().any(|event| matches!(event, Emitted::Whole(_)));
        let found: Vec<String> = found.iter().map(|event| shown(event, has_bodies)).collect();
        Err(format!("expected emit {expected:?}, it was [{}]", found.join(", ")))
    }
}

impl Emitted {
    fn is(&self, found: &Emission) -> bool {
        match self {
            Self::Type(kind) => *kind == found.kind,
            Self::Whole(Whole { kind, body }) => *kind == found.kind && is_body(body, &found.body),
        }
    }
}

fn is_body(expected: &Value, found: &[u8]) -> bool {
    match expected {
        Value::String(text) => text.as_bytes() == found,
        value => serde_json::from_slice::<Value>(found).is_ok_and(|found| found == *value),
    }
}

impl fmt::Debug for Emitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(kind) => write!(f, "{kind:?}"),
            Self::Whole(Whole { kind, body }) => write!(f, "{kind:?} {body}"),
        }
    }
}

fn shown(Emission { kind, body }: &Emission, has_bodies: bool) -> String {
    if has_bodies {
        format!("{kind:?} {}", String::from_utf8_lossy(body))
    } else {
        format!("{kind:?}")
    }
}

fn logged(called: &Called) -> Vec<String> {
    #[derive(Deserialize)]
    struct Line {
        message: String,
    }
    let lines = called.logs.as_deref().unwrap_or("[]");
    let lines: Vec<Line> = serde_json::from_str(lines).unwrap_or_default();
    lines.into_iter().map(|line| line.message).collect()
}

fn differs<T: PartialEq + fmt::Debug>(
    what: &str,
    expected: Option<&T>,
    found: &T,
) -> Result<(), String> {
    match expected {
        Some(expected) if expected != found => {
            Err(format!("expected {what} {expected:?}, it was {found:?}"))
        }
        _ => Ok(()),
    }
}
