//! What a handler must make of events before it is used: `plugins/<name>.selftest/*.json`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Deserialize;
use serde_json::Value;

use super::{Call, Called, Handler, LoadError, Reach, Settings};
use crate::clock::wall_ms;
use crate::delivery::Outcome;
use crate::effects::Scratch;
use crate::event::{Event, EventId, UNTYPED};
use crate::verify::{Request, Scheme, Verifier};

/// Files that a handler may have.
const FILES: usize = 100;
/// Bytes that one of them may have.
const FILE_BYTES: u64 = 1024 * 1024;
/// How long an attempt may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The name of the source and the route that there are not.
const SELFTEST: &str = "selftest";

/// A file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    event: Given,
    #[serde(default)]
    state: BTreeMap<String, String>,
    expect: Expected,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    source: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// A text byte for byte, or any other value as JSON.
    body: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Name {
    Ack,
    Reply,
    Retry,
    Reject,
}

/// What is absent may be anything.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    outcome: Name,
    /// A part of the words for not handling it.
    reason: Option<String>,
    /// The reply's.
    status: Option<u16>,
    /// The reply's, whole.
    body: Option<String>,
    /// The types of the events that it emits, in order.
    emit: Option<Vec<String>>,
}

/// Makes all of a handler's selftests, without egress; none where it has no such folder.
///
/// # Errors
/// The first that fails, or cannot be read.
pub async fn pass(handler: &Handler, plugins: &Path) -> Result<(), LoadError> {
    let folder = plugins.join(format!("{}.selftest", handler.name));
    let files = files(&folder).map_err(|error| failed(&folder, error.to_string()))?;
    if files.is_empty() {
        return Ok(());
    }
    let settings = Settings { reach: Reach::default(), ..handler.settings.clone() };
    let handler = handler.with(settings);
    for file in files {
        let made = match read(&file) {
            Ok(case) => make(&handler, case).await,
            Err(problem) => Err(problem),
        };
        made.map_err(|problem| failed(&file, problem))?;
    }
    Ok(())
}

fn failed(file: &Path, problem: String) -> LoadError {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = file.parent().map(name).filter(|folder| folder.ends_with(".selftest"));
    let file = folder.map_or_else(|| name(file), |folder| format!("{folder}/{}", name(file)));
    LoadError::Selftest { file, problem }
}

/// The files, in order.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "json") {
            files.push(path);
        }
        if files.len() > FILES {
            return Err(io::Error::other(format!("it has more than {FILES} files")));
        }
    }
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> Result<Case, String> {
    let text = super::read(file, FILE_BYTES).map_err(|error| match error {
        LoadError::TooLarge { found, limit } => format!("it has {found} bytes, more than {limit}"),
        other => other.to_string(),
    })?;
    serde_json::from_slice(&text).map_err(|error| format!("it is no selftest: {error}"))
}

async fn make(handler: &Handler, case: Case) -> Result<(), String> {
    let Case { event, state, expect } = case;
    let event = event.event()?;
    let state = state.into_iter().map(|(key, text)| (key, text.into_bytes())).collect();
    let id = EventId::new(event.received_at(), 0, 0).to_string();
    let waits = matches!(expect.outcome, Name::Reply);
    let call = Call { id: &id, event: &event, route: &Arc::from(SELFTEST), attempt: 1, waits };
    expect.holds(&handler.call(call, Arc::new(Scratch(state)), TIMEOUT).await)
}

impl Given {
    /// An event that nobody signed: whoever writes selftests into `plugins` may write handlers.
    fn event(self) -> Result<Event, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().map_err(|_| format!("`{name}` is no header"))?;
            let value = HeaderValue::from_str(value);
            headers.append(name, value.map_err(|_| "a header's value is none".to_owned())?);
        }
        let body = match self.body {
            Value::String(text) => text,
            value => value.to_string(),
        };
        let peer = Ipv4Addr::LOCALHOST.into();
        let (method, target) = (Method::POST, "/".to_owned());
        let request = Request { method, target, headers, body: body.into(), peer };
        let now = wall_ms();
        let author = Verifier::new(Scheme::Unsigned, Vec::new());
        let verified = author
            .map_err(|error| error.to_string())?
            .verify(request, now.cast_signed())
            .map_err(|error| error.to_string())?;
        let source = self.source.as_deref().unwrap_or(SELFTEST).into();
        let kind = self.kind.as_deref().unwrap_or(UNTYPED).into();
        Ok(Event::new(verified, source, kind, now, None))
    }
}

impl Expected {
    /// Whether an attempt came to that; the error says in what it did not.
    fn holds(&self, called: &Called) -> Result<(), String> {
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
            return Err(format!("expected the reason {part:?}, it was {error:?}"));
        }
        if let Outcome::Reply(reply) = outcome {
            differs("status", self.status.as_ref(), &reply.status)?;
            let body = String::from_utf8_lossy(&reply.body).into_owned();
            differs("body", self.body.as_ref(), &body)?;
        }
        let emitted = called.effects.emitted.iter().map(|it| it.kind.clone()).collect();
        differs("emit", self.emit.as_ref(), &emitted)
    }
}

fn differs<T: PartialEq + std::fmt::Debug>(
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
