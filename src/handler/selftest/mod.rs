//! What a handler must make of events before it is used: `plugins/<name>.selftest/*.json`.

mod expected;

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
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use self::expected::Expected;
use super::{Call, Handler, LoadError, Reach, Settings};
use crate::clock::wall_ms;
use crate::effects::Scratch;
use crate::event::{Event, EventId, UNTYPED};
use crate::verify::{Request, Scheme, Verifier};

/// Files that a handler may have.
const FILES: usize = 100;
/// Bytes that one of them may have.
const FILE_BYTES: u64 = 1024 * 1024;
/// Events that one of them may have.
const EVENTS: usize = 100;
/// Failures that are told of a version; no more selftests are made then.
const FAILURES: usize = 5;
/// How long an attempt may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The name of the source and the route that there are not.
const SELFTEST: &str = "selftest";

/// An event, and what becomes of it. A file has one, or a list of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// Says in a list which it is.
    name: Option<String>,
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

/// Makes all of a handler's selftests, without egress; none where it has no such folder.
///
/// # Errors
/// Those that fail, or cannot be read, up to [`FAILURES`].
pub async fn pass(handler: &Handler, plugins: &Path) -> Result<(), LoadError> {
    let folder = plugins.join(format!("{}.selftest", handler.name));
    let unreadable =
        |error: io::Error| LoadError::Selftests(vec![told(&folder, &error.to_string())]);
    let files = files(&folder).map_err(unreadable)?;
    if files.is_empty() {
        return Ok(());
    }
    let settings = Settings { reach: Reach::default(), ..handler.settings.clone() };
    let handler = handler.with(settings);
    let mut failed = Vec::new();
    for file in files {
        let cases = read(&file).unwrap_or_else(|problem| {
            failed.push(told(&file, &problem));
            Vec::new()
        });
        for case in cases {
            if failed.len() == FAILURES {
                break;
            }
            let name = case.name.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
            if let Err(problem) = make(&handler, case).await {
                failed.push(told(&file, &(name + &problem)));
            }
        }
        if failed.len() == FAILURES {
            break;
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(LoadError::Selftests(failed)) }
}

/// What is wrong with a selftest, or with the folder.
fn told(file: &Path, problem: &str) -> String {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = file.parent().map(name).filter(|folder| folder.ends_with(".selftest"));
    let file = folder.map_or_else(|| name(file), |folder| format!("{folder}/{}", name(file)));
    format!("selftest {file}: {problem}")
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

fn read(file: &Path) -> Result<Vec<Case>, String> {
    let text = super::read(file, FILE_BYTES).map_err(|error| match error {
        LoadError::TooLarge { found, limit } => format!("it has {found} bytes, more than {limit}"),
        other => other.to_string(),
    })?;
    let is_list = text.trim_ascii_start().starts_with(b"[");
    let cases = if is_list {
        serde_json::from_slice(&text)
    } else {
        serde_json::from_slice(&text).map(|case| vec![case])
    };
    let cases = cases.map_err(|error| format!("it is no selftest: {error}"))?;
    if cases.len() > EVENTS {
        return Err(format!("it has {} events, more than {EVENTS}", cases.len()));
    }
    Ok(cases)
}

async fn make(handler: &Handler, case: Case) -> Result<(), String> {
    let Case { event, state, expect, .. } = case;
    let event = event.event()?;
    let state = state.into_iter().map(|(key, text)| (key, text.into_bytes())).collect();
    let id = EventId::new(event.received_at(), 0, 0).to_string();
    let route = Arc::from(SELFTEST);
    let waits = expect.is_reply();
    let call = Call { id: &id, event: &event, route: &route, attempt: 1, waits, notes: None };
    // What it logs is about no event that there is: it belongs into nobody's log.
    let called = handler.call(call, Arc::new(Scratch(state)), TIMEOUT);
    expect.holds(&called.with_subscriber(NoSubscriber::new()).await)
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
