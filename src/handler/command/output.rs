//! What a command prints: the outcome as JSON, or nothing, which acknowledges the event.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::delivery::{Outcome, Reply};
use crate::effects::Refusal;
use crate::handler::attempt::fit;
use crate::handler::host::Host;

/// Bytes that are shown of a stdout that is no outcome.
const SHOWN_BYTES: usize = 200;

/// The contract. A field that is unknown, or of another outcome, is a mistake: to pass over it
/// could be to lose an event.
#[derive(Debug, Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase", deny_unknown_fields)]
enum Printed {
    Ack {
        #[serde(default)]
        emit: Vec<Emitted>,
    },
    Reply {
        status: u16,
        #[serde(default)]
        headers: Vec<(String, String)>,
        body: Option<String>,
        body_base64: Option<String>,
        #[serde(default)]
        emit: Vec<Emitted>,
    },
    Retry {
        after_ms: Option<u32>,
        #[serde(default)]
        reason: String,
    },
    Reject {
        #[serde(default)]
        reason: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Emitted {
    event_type: String,
    body: Option<String>,
    body_base64: Option<String>,
}

/// The outcome that a command printed which ended with exit code 0.
pub fn outcome(host: &mut Host) -> Outcome {
    let stdout = host.stdout.take();
    match read(&stdout) {
        Ok((outcome, emit)) => {
            let mut emitted = emit.into_iter().map(|(kind, body)| host.staging.emit(kind, body));
            match emitted.find_map(Result::err) {
                Some(refusal) => not_emitted(&refusal, host.refused(&refusal)),
                None => outcome,
            }
        }
        Err(problem) => {
            let shown = stdout.get(..SHOWN_BYTES).unwrap_or(&stdout).escape_ascii();
            let problem = fit(&problem);
            Outcome::Trap(format!("stdout is no outcome: {problem}; it begins \"{shown}\""))
        }
    }
}

/// What a command comes to that emits what it may not. It has ended, and cannot be told.
fn not_emitted(refusal: &Refusal, message: String) -> Outcome {
    match refusal {
        // However often it is tried, it comes to the same.
        Refusal::TooDeep => Outcome::Reject(message),
        Refusal::Events | Refusal::EventBytes => Outcome::Limit(message),
        _ => Outcome::Trap(message),
    }
}

/// An event type and a body.
type Emission = (String, Vec<u8>);

/// The outcome, and the events that it emits; or why it is none.
fn read(stdout: &[u8]) -> Result<(Outcome, Vec<Emission>), String> {
    match stdout.trim_ascii_start().first() {
        None => return Ok((Outcome::Ack, Vec::new())),
        Some(b'{') => {}
        Some(_) => return Err("it is no JSON object".to_owned()),
    }
    let printed = serde_json::from_slice(stdout).map_err(|error| error.to_string())?;
    let (outcome, emit) = match printed {
        Printed::Ack { emit } => (Outcome::Ack, emit),
        Printed::Reply { status, headers, body, body_base64, emit } => {
            let headers = headers.into_iter().map(|(name, value)| (name, value.into_bytes()));
            let (headers, body) = (headers.collect(), bytes(body, body_base64)?);
            (Outcome::Reply(Reply { status, headers, body }), emit)
        }
        Printed::Retry { after_ms, reason } => {
            let after = after_ms.map(|ms| Duration::from_millis(ms.into()));
            (Outcome::Retry { after, reason: fit(&reason) }, Vec::new())
        }
        Printed::Reject { reason } => (Outcome::Reject(fit(&reason)), Vec::new()),
    };
    let event =
        |emitted: Emitted| Ok((emitted.event_type, bytes(emitted.body, emitted.body_base64)?));
    Ok((outcome, emit.into_iter().map(event).collect::<Result<_, String>>()?))
}

fn bytes(text: Option<String>, base64: Option<String>) -> Result<Vec<u8>, String> {
    match (text, base64) {
        (Some(_), Some(_)) => Err("there are both `body` and `body_base64`".to_owned()),
        (text, None) => Ok(text.unwrap_or_default().into_bytes()),
        (None, Some(base64)) => {
            STANDARD.decode(base64).map_err(|error| format!("`body_base64`: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(after_ms: Option<u64>, reason: &str) -> Outcome {
        Outcome::Retry { after: after_ms.map(Duration::from_millis), reason: reason.to_owned() }
    }

    #[test]
    fn an_outcome_is_read() {
        let reject = |reason: &str| Outcome::Reject(reason.to_owned());
        let reply = |status, headers: &[(&str, &str)], body: &[u8]| {
            let field =
                |(name, value): &(&str, &str)| (str::to_owned(name), value.as_bytes().to_vec());
            let headers = headers.iter().map(field).collect();
            Outcome::Reply(Reply { status, headers, body: body.to_vec() })
        };
        for (stdout, expected) in [
            ("", Outcome::Ack),
            (" \n\t\r\n", Outcome::Ack),
            (r#"{"outcome":"ack"}"#, Outcome::Ack),
            ("\n{\"emit\": [], \"outcome\": \"ack\"}\n", Outcome::Ack),
            (r#"{"outcome":"reply","status":204}"#, reply(204, &[], b"")),
            (
                r#"{"outcome":"reply","status":200,"headers":[["a","b"],["a","c"]],"body":"ü"}"#,
                reply(200, &[("a", "b"), ("a", "c")], "ü".as_bytes()),
            ),
            (
                r#"{"outcome":"reply","status":200,"body_base64":"/wA="}"#,
                reply(200, &[], b"\xff\0"),
            ),
            (r#"{"outcome":"retry"}"#, retry(None, "")),
            (r#"{"outcome":"retry","after_ms":null,"reason":"down"}"#, retry(None, "down")),
            (r#"{"outcome":"retry","after_ms":1500}"#, retry(Some(1_500), "")),
            (r#"{"outcome":"reject"}"#, reject("")),
            (r#"{"reason":"\u001b[2J","outcome":"reject"}"#, reject("\\u{1b}[2J")),
        ] {
            assert_eq!(read(stdout.as_bytes()), Ok((expected, Vec::new())), "{stdout}");
        }
    }

    #[test]
    fn anything_else_is_a_mistake_that_is_named() {
        for (stdout, problem) in [
            ("done\n", "no JSON object"),
            ("{}", "missing field `outcome`"),
            (r#"{"outcom":"ack"}"#, "missing field `outcome`"),
            (r#"{"outcome":"ok"}"#, "unknown variant `ok`, expected one of `ack`, `reply`"),
            (r#"{"outcome":"ack","reson":"x"}"#, "unknown field `reson`"),
            (r#"{"outcome":"ack","after_ms":5}"#, "unknown field `after_ms`"),
            (r#"{"outcome":"ack","outcome":"reject"}"#, "duplicate field"),
            (r#"{"outcome":"ack"}{"outcome":"ack"}"#, "trailing characters"),
            (r#"{"outcome":"ack""#, "EOF"),
            (r#"{"outcome":"reply"}"#, "missing field `status`"),
            (r#"{"outcome":"reply","status":"200"}"#, "expected u16"),
            (r#"{"outcome":"reply","status":70000}"#, "expected u16"),
            (r#"{"outcome":"reply","status":200,"headers":{"a":"b"}}"#, "expected a sequence"),
            (r#"{"outcome":"reply","status":200,"body":"","body_base64":""}"#, "both `body`"),
            (r#"{"outcome":"reply","status":200,"body_base64":"!"}"#, "`body_base64`: "),
            (r#"{"outcome":"retry","after_ms":-1}"#, "expected u32"),
            (r#"{"outcome":"retry","emit":[]}"#, "unknown field `emit`"),
            (r#"{"outcome":"reject","reason":7}"#, "expected a string"),
            (r#"{"outcome":"ack","emit":[{"body":"x"}]}"#, "missing field `event_type`"),
            (r#"{"outcome":"ack","emit":[{"type":"x"}]}"#, "unknown field `type`"),
            (
                r#"{"outcome":"ack","emit":[{"event_type":"x","body":"","body_base64":""}]}"#,
                "both `body`",
            ),
            ("null", "no JSON object"),
            (r#"["ack"]"#, "no JSON object"),
            ("\u{feff}{}", "no JSON object"),
        ] {
            let found = read(stdout.as_bytes()).unwrap_err();
            assert!(found.contains(problem), "{stdout}: {found}");
        }
        assert!(read(b"\xff").is_err());
    }

    #[test]
    fn emitted_events_are_read_with_ack_and_with_reply() {
        for rest in [r#""outcome":"ack""#, r#""outcome":"reply","status":200"#] {
            let emit =
                r#"[{"event_type":"a.b","body":"{}"},{"event_type":"c","body_base64":"/w=="}]"#;
            let (_, emitted) = read(format!("{{{rest},\"emit\":{emit}}}").as_bytes()).unwrap();
            assert_eq!(
                emitted,
                [("a.b".to_owned(), b"{}".to_vec()), ("c".to_owned(), b"\xff".to_vec())]
            );
        }
    }
}
