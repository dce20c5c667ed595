//! What `hookyard call` found out.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::millis;
use crate::delivery::Outcome;
use crate::effects::Emission;
use crate::handler::{Answer, Asked, Called, Exchange, Handler, Spent};
use crate::text::{head, printable};

/// Bytes of a value, or of an event's body, that are shown.
const SHOWN_BYTES: usize = 200;

/// What one attempt came to.
pub struct Tried<'a> {
    pub handler: &'a Handler,
    pub called: Called,
    /// What it spent its time on.
    pub spent: Spent,
    /// Reading and compiling the handler.
    pub load: Duration,
    /// The attempt, from beginning to end.
    pub wall: Duration,
}

impl Tried<'_> {
    /// For people.
    pub fn shown(&self) -> String {
        let Called { outcome, cpu, peak_memory, .. } = &self.called;
        let mut text = format!(
            "outcome  {}\nload     {}\nwall     {}\ncpu      {}\nmemory   {} KiB\n",
            in_words(outcome),
            shown_ms(self.load),
            shown_ms(self.wall),
            shown_ms(*cpu),
            peak_memory / 1024,
        );
        if let Some(instructions) = self.spent.instructions {
            // Writing to a string does not fail.
            let _ = writeln!(text, "ran      {}{instructions} instructions", self.at_least());
        }
        for (time, what) in self.parts() {
            let _ = writeln!(text, "time     {} {what}", shown_ms(time));
        }
        for request in &self.spent.requests {
            let _ = writeln!(text, "request  {}: {}", printable(&request.to), came_to(request));
        }
        for line in self.logs() {
            let part = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default();
            let _ = writeln!(text, "log      {}: {}", part("level"), printable(part("message")));
        }
        for (key, value) in &self.called.effects.changes.writes {
            let value =
                value.as_deref().map_or("is deleted".into(), |value| format!("= {}", shown(value)));
            let _ = writeln!(text, "state    {} {value}", printable(key));
        }
        for Emission { kind, body } in &self.called.effects.emitted {
            let _ = writeln!(text, "emit     {}: {}", printable(kind), shown(body));
        }
        text
    }

    /// For programs; `handler` is what the user calls it.
    pub fn as_json(&self, handler: &str) -> Value {
        let Called { outcome, cpu, peak_memory, .. } = &self.called;
        let status = match outcome {
            Outcome::Reply(reply) => Some(reply.status),
            _ => None,
        };
        json!({
            "handler": handler,
            "version": &**self.handler.version(),
            "outcome": outcome.name(),
            "status": status,
            "after_ms": delay(outcome).map(millis),
            "error": outcome.error(),
            "load_ms": ms(self.load),
            "wall_ms": ms(self.wall),
            "cpu_ms": ms(*cpu),
            "instructions": self.spent.instructions,
            "peak_memory": peak_memory,
            "time": self.time(),
            "requests": self.requests(),
            "logs": self.logs(),
            "state": self.state(),
            "emit": self.emitted(),
        })
    }

    /// What the attempt's wall time was spent on; together it is all of it.
    fn parts(&self) -> Vec<(Duration, String)> {
        let mut parts = vec![
            (self.spent.instantiating, "making the instance".to_owned()),
            (self.own(), "in the handler's own code".to_owned()),
        ];
        for (what, Asked { times, cpu }) in &self.spent.asked {
            let calls = if *times == 1 { "call" } else { "calls" };
            parts.push((*cpu, format!("in {times} {calls} of {}", what.name())));
        }
        parts.push((self.waiting(), "waiting".to_owned()));
        parts
    }

    /// What a function ran that was cut off is not counted.
    fn at_least(&self) -> &'static str {
        match self.called.outcome {
            Outcome::Timeout(_) | Outcome::Limit(_) => "at least ",
            _ => "",
        }
    }

    /// CPU time of the guest itself, and of what the engine does for it.
    fn own(&self) -> Duration {
        let host: Duration = self.spent.asked.values().map(|asked| asked.cpu).sum();
        self.called.cpu.saturating_sub(self.spent.instantiating + host)
    }

    /// Time without the CPU.
    fn waiting(&self) -> Duration {
        self.wall.saturating_sub(self.called.cpu)
    }

    fn time(&self) -> Value {
        let asked = self.spent.asked.iter().map(|(what, Asked { times, cpu })| {
            (what.name().to_owned(), json!({ "calls": times, "ms": ms(*cpu) }))
        });
        json!({
            "instantiate_ms": ms(self.spent.instantiating),
            "own_ms": ms(self.own()),
            "waiting_ms": ms(self.waiting()),
            "host": Value::Object(asked.collect()),
        })
    }

    fn requests(&self) -> Vec<Value> {
        let one = |Exchange { to, answer }: &Exchange| {
            let status = answer.as_ref().map(|answer| &answer.status);
            json!({
                "to": to,
                "status": status.and_then(|status| status.as_ref().ok()),
                "error": status.and_then(|status| status.as_ref().err()),
                "ms": answer.as_ref().map(|answer| ms(answer.after)),
            })
        };
        self.spent.requests.iter().map(one).collect()
    }

    /// Each key that it wrote, with its new value as text, or `null` if it is deleted.
    fn state(&self) -> BTreeMap<&str, Option<Cow<'_, str>>> {
        let writes = self.called.effects.changes.writes.iter();
        writes.map(|(key, value)| (&**key, value.as_deref().map(String::from_utf8_lossy))).collect()
    }

    fn emitted(&self) -> Vec<Value> {
        let emitted = self.called.effects.emitted.iter();
        let one = |Emission { kind, body }: &Emission| json!({ "event_type": kind, "body": String::from_utf8_lossy(body) });
        emitted.map(one).collect()
    }

    fn logs(&self) -> Vec<Value> {
        let logs = self.called.logs.as_deref().unwrap_or("[]");
        serde_json::from_str(logs).unwrap_or_default()
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn shown_ms(time: Duration) -> String {
    format!("{:.1} ms", ms(time))
}

/// What came of a request, in words.
fn came_to(Exchange { answer, .. }: &Exchange) -> String {
    match answer {
        Some(Answer { after, status: Ok(status) }) => {
            format!("{status} after {}", shown_ms(*after))
        }
        Some(Answer { after, status: Err(error) }) => {
            format!("{} after {}", printable(error), shown_ms(*after))
        }
        None => "no answer until the end of the attempt".to_owned(),
    }
}

/// The beginning of a value, as text.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    printable(head(&text, SHOWN_BYTES)).into_owned()
}

fn delay(outcome: &Outcome) -> Option<Duration> {
    match outcome {
        Outcome::Retry { after, .. } => *after,
        _ => None,
    }
}

fn in_words(outcome: &Outcome) -> String {
    let mut words = outcome.name().to_owned();
    if let Outcome::Reply(reply) = outcome {
        words += &format!(" {}", reply.status);
    }
    if let Some(after) = delay(outcome) {
        words += &format!(" after {} ms", millis(after));
    }
    if let Some(error) = outcome.error() {
        words += &format!(": {}", printable(&error));
    }
    words
}
