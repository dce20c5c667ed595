//! `hookyard send`.

use std::io::{IsTerminal, stdout};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, Uri};
use serde_json::{Value, json};
use ulid::Ulid;

use super::answer::{Answer, Failed};
use super::client::post;
use super::{input, samples};
use crate::clock::wall_ms;
use crate::config::{Config, Server};
use crate::source::Source;
use crate::text::printable;
use crate::verify::{EventId, Location, Request};

/// Headers of an answer that say nothing about what became of the event.
const MECHANICAL: [HeaderName; 4] = [CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING];

const EXAMPLES: &str = "\
Examples:
  hookyard send hotglue
  hookyard send hotglue --event DISCOVER_SUCCESS
  hookyard send hotglue --event LINK --json
  hookyard send supaglue --event connection.created
  echo '{\"tenant\":\"1414_1\",\"flow_id\":\"F\",\"status\":\"JOB_CREATED\"}' | hookyard send hotglue --body -

With --json it prints {\"url\", \"status\", \"headers\": [[name, value]], \"body\"}, with \"body_base64\" in
place of a body that is no text.";

/// Post an event to a running hookyard, signed as its sender would sign it.
///
/// It is signed with the source's first secret in force. Without --body it is a sample as that
/// sender posts them, with a time and an id of now, so that each is a new event. Exits with 0 if
/// the answer's status is 2xx.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A source of router.toml.
    source: String,
    /// The event type of the sample, or of the body where the type stands in a header.
    #[arg(long, value_name = "TYPE")]
    event: Option<String>,
    /// Post this file byte for byte; `-` is stdin.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// Post to this URL instead of `server.listen`. For https, the server must have the
    /// certificate of `server.tls`.
    #[arg(long)]
    url: Option<Uri>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Signs, posts, and shows the answer.
pub fn run(config: &Path, args: &Args) -> Result<Answer, Failed> {
    let (config, _) = input::config(config)?;
    let source = find(&config, &args.source)?;
    let url = match &args.url {
        Some(url) => url.clone(),
        None => url_of(&config.server, source)?,
    };
    let request = request(source, &url, args)?;
    // Some senders put part of what they sign into the URL.
    let url = with_target(url, &request.target)?;
    let answer = post(&url, request, config.server.tls.as_ref())?;
    let is_good = answer.status().is_success();
    if args.json {
        Ok(Answer::json(&as_json(&url, &answer), is_good))
    } else {
        Ok(Answer::new(shown(&answer, stdout().is_terminal()), is_good))
    }
}

/// The source of that name.
pub(super) fn find<'a>(config: &'a Config, name: &str) -> Result<&'a Source> {
    let found = config.sources.iter().find(|source| *source.name == *name);
    found.with_context(|| {
        let names: Vec<&str> = config.sources.iter().map(|source| &*source.name).collect();
        format!("there is no source `{name}` in router.toml; there are: {}", names.join(", "))
    })
}

/// Where the source's sender posts to on this machine.
fn url_of(server: &Server, source: &Source) -> Result<Uri> {
    if server.listen.port() == 0 {
        bail!("`server.listen` has port 0, so the port is only known to `serve`: give --url");
    }
    let scheme = if server.tls.is_some() { "https" } else { "http" };
    let address = input::reachable(server.listen);
    Ok(format!("{scheme}://{address}{}", source.path).parse()?)
}

/// The request that the source's sender would make.
fn request(source: &Source, url: &Uri, args: &Args) -> Result<Request> {
    let (now, id) = (wall_ms(), Ulid::new().to_string());
    let types = source.event_type.as_ref().map_or(&[][..], |event_type| &event_type.at);
    let event = args.event.as_deref().unwrap_or_else(|| samples::default_event(source));
    let typed = headers_of(types, event);
    let body = match &args.body {
        Some(_) if args.event.is_some() && typed.is_empty() => {
            bail!(
                "events of `{}` have no type in a header: with --body, leave out --event",
                source.name
            )
        }
        Some(file) => input::body(file)?,
        None => samples::body(source, event, &id, now).into(),
    };
    let ids = match &source.event_id {
        EventId::At(places) => places.as_slice(),
        EventId::None | EventId::Body => &[],
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, text) in typed.into_iter().chain(headers_of(ids, &id)) {
        let text = text.parse().context("this event type cannot stand in a header")?;
        headers.insert(name, text);
    }
    let target = url.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let peer = Ipv4Addr::LOCALHOST.into();
    let mut request = Request { method: Method::POST, target, headers, body, peer };
    source.verifier.sign(&mut request, &id, i64::try_from(now)?)?;
    Ok(request)
}

fn with_target(url: Uri, target: &str) -> Result<Uri> {
    let mut parts = url.into_parts();
    parts.path_and_query = Some(target.parse()?);
    Ok(Uri::from_parts(parts)?)
}

/// The headers that the first of these places is made of, and what stands in them of a text.
fn headers_of<'a>(places: &'a [Location], text: &'a str) -> Vec<(&'a HeaderName, &'a str)> {
    let parts = places.first().map_or_else(Vec::new, |place| samples::parts(place, text));
    let headers = parts.into_iter().filter_map(|(place, text)| match place {
        Location::Header(name) => Some((name, text)),
        Location::Pointer(_) | Location::Joined(_) => None,
    });
    headers.collect()
}

/// The headers that matter, as text that a terminal can show.
fn headers(answer: &Response<Bytes>) -> impl Iterator<Item = (&HeaderName, String)> {
    let telling = answer.headers().iter().filter(|(name, _)| !MECHANICAL.contains(name));
    telling.map(|(name, value)| {
        (name, printable(&String::from_utf8_lossy(value.as_bytes())).into_owned())
    })
}

/// Status, headers and body. Only for a terminal is the body made harmless.
fn shown(answer: &Response<Bytes>, for_terminal: bool) -> Vec<u8> {
    let mut text = format!("{:?} {}\n", answer.version(), answer.status());
    for (name, value) in headers(answer) {
        text += &format!("{name}: {value}\n");
    }
    let mut shown = (text + "\n").into_bytes();
    if for_terminal {
        let body = String::from_utf8_lossy(answer.body());
        let lines: Vec<_> = body.lines().map(printable).collect();
        shown.extend(lines.join("\n").into_bytes());
    } else {
        shown.extend(answer.body());
    }
    if !shown.ends_with(b"\n") {
        shown.push(b'\n');
    }
    shown
}

fn as_json(url: &Uri, answer: &Response<Bytes>) -> Value {
    let headers: Vec<Value> =
        headers(answer).map(|(name, value)| json!([name.as_str(), value])).collect();
    let mut shown = json!({
        "url": url.to_string(),
        "status": answer.status().as_u16(),
        "headers": headers,
    });
    match str::from_utf8(answer.body()) {
        Ok(text) => shown["body"] = text.into(),
        Err(_) => shown["body_base64"] = STANDARD.encode(answer.body()).into(),
    }
    shown
}

#[cfg(test)]
mod tests;
