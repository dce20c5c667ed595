//! How two attempts of the same delivery differ, and what is told of it.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::delivery::{Outcome, Reply};
use crate::effects::Emission;
use crate::ledger::same_cause;
use crate::text::{head, printable};

/// Bytes of a body that a person is shown.
const SHOWN_BYTES: usize = 2 * 1024;

/// What an attempt came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Came {
    /// The outcome's name; `none` where no attempt was made.
    pub outcome: Cow<'static, str>,
    /// Why the event is not handled.
    pub error: Option<String>,
    /// What its sender is told, if the handler says it.
    pub reply: Option<Reply>,
    /// What it emitted, in order.
    pub emitted: Vec<Emission>,
}

/// In what two attempts differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The outcome's name.
    Outcome,
    /// The handler's own words for not handling the event, beyond numbers and ids.
    Reason,
    /// The reply.
    Reply,
    /// What was emitted.
    Emitted,
}

impl Part {
    /// In the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Outcome => "outcome",
            Self::Reason => "reason",
            Self::Reply => "reply",
            Self::Emitted => "emit",
        }
    }
}

/// In what they differ; nothing where they are alike.
pub fn between(one: &Came, other: &Came) -> Vec<Part> {
    if one.outcome != other.outcome {
        return vec![Part::Outcome];
    }
    // What is told of a trap or a limit is about the module, not about the event.
    let has_words = matches!(&*one.outcome, "retry" | "reject");
    let words = |came: &Came| came.error.clone().unwrap_or_default();
    let parts = [
        (Part::Reason, has_words && !same_cause(&words(one), &words(other))),
        (Part::Reply, one.reply != other.reply),
        (Part::Emitted, one.emitted != other.emitted),
    ];
    parts.into_iter().filter_map(|(part, differs)| differs.then_some(part)).collect()
}

impl Came {
    /// What an outcome is, with what was emitted.
    pub fn to(outcome: Outcome, emitted: Vec<Emission>) -> Self {
        let (name, error) = (outcome.name(), outcome.error());
        let reply = match outcome {
            Outcome::Reply(reply) => Some(reply),
            _ => None,
        };
        Self { outcome: name.into(), error, reply, emitted }
    }

    /// Whole, for programs.
    pub fn as_json(&self) -> Value {
        let reply = self.reply.as_ref().map(|reply| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let headers: Vec<_> =
                reply.headers.iter().map(|(name, value)| (name, text(value))).collect();
            json!({ "status": reply.status, "headers": headers, "body": text(&reply.body) })
        });
        let emitted: Vec<Value> = self.emitted.iter().map(|Emission { kind, body }| {
            json!({ "event_type": kind, "body": String::from_utf8_lossy(body) })
        }).collect();
        json!({ "outcome": self.outcome, "error": self.error, "reply": reply, "emit": emitted })
    }

    /// Lines for people.
    pub fn lines(&self) -> Vec<String> {
        let mut first = self.outcome.to_string();
        if let Some(Reply { status, .. }) = &self.reply {
            first += &format!(" {status}");
        }
        if let Some(error) = &self.error {
            first += &format!(": {}", printable(error));
        }
        let mut lines = vec![first];
        if let Some(Reply { headers, body, .. }) = &self.reply {
            lines.extend(
                headers
                    .iter()
                    .map(|(name, value)| format!("  {}: {}", printable(name), shown(value))),
            );
            lines.push(format!("  {}", shown(body)));
        }
        let emit = |it: &Emission| format!("emits {}: {}", printable(&it.kind), shown(&it.body));
        lines.extend(self.emitted.iter().map(emit));
        lines
    }
}

fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    printable(head(&text, SHOWN_BYTES)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn came(outcome: &'static str, error: &str) -> Came {
        Came { outcome: outcome.into(), error: Some(error.to_owned()), ..Came::default() }
    }

    fn reply(status: u16) -> Came {
        let reply = Reply { status, headers: Vec::new(), body: b"b".to_vec() };
        Came { reply: Some(reply), ..came("reply", "") }
    }

    fn emits(kinds: &[&str]) -> Came {
        let emission = |kind: &&str| Emission { kind: (*kind).to_owned(), body: "1".into() };
        Came { emitted: kinds.iter().map(emission).collect(), ..came("ack", "") }
    }

    #[test]
    fn attempts_differ_in_what_a_handler_decides() {
        for (one, other, parts) in [
            (came("ack", ""), came("ack", ""), &[][..]),
            (came("reject", "x"), came("ack", ""), &[Part::Outcome]),
            (came("reject", "order 1 is gone"), came("reject", "order 2222 is gone"), &[]),
            (came("reject", "gone"), came("reject", "locked"), &[Part::Reason]),
            (came("retry", "gone"), came("retry", "locked"), &[Part::Reason]),
            (came("trap", "at f"), came("trap", "at g"), &[]),
            (reply(200), reply(200), &[]),
            (reply(200), reply(201), &[Part::Reply]),
            (emits(&["a", "b"]), emits(&["a", "b"]), &[]),
            (emits(&["a", "b"]), emits(&["b", "a"]), &[Part::Emitted]),
            (emits(&["a"]), emits(&[]), &[Part::Emitted]),
        ] {
            assert_eq!(between(&one, &other), parts, "{one:?} {other:?}");
        }
    }
}
