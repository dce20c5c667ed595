//! `hookyard verify`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use http::Method;
use serde_json::json;

use super::answer::{Answer, Failed};
use super::capture::{self, Capture};
use super::{input, send};
use crate::clock::wall_ms;
use crate::config::{Config, presets};
use crate::source::Source;
use crate::text::printable;
use crate::verify::explain::{Captured, Explanation, Others, Subject, WORK, explain};
use crate::verify::{Request, Spec, Step};

const EXAMPLES: &str = "\
Examples:
  hookyard verify github --request captured.http
  hookyard verify github --request captured.http --at 1700000000
  nc -l 8080 | hookyard verify github --request - --json

The request is what was on the wire: request line, headers, an empty line, the body byte for byte.

With --json it prints {\"source\", \"at\", \"verified\", \"secret\", \"refusal\", \"steps\": [{\"check\",
\"expected\", \"found\", \"passed\"}], \"likely_cause\"}. `secret` is the place in the list of the one that
matched. A request that is signed right and would not be taken has no `refusal`, and is not `verified`:
`steps` say why.";

/// Explain step by step why a captured request's signature matches or not.
///
/// It is verified as `serve` would, at the time that it is now or that --at says, and if it is not
/// believed, the likely cause is named. No secret is shown, and of signatures a few letters. Exits
/// with 0 if the request is verified, with 1 if it is not.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A source of router.toml.
    source: String,
    /// The captured request; `-` is stdin.
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// The time to verify at, in seconds since 1970.
    #[arg(long, value_name = "UNIX_SECONDS", allow_negative_numbers = true)]
    at: Option<i64>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Verifies a captured request, and explains what comes of it.
pub fn run(config: &Path, args: &Args) -> Result<Answer, Failed> {
    let (config, _) = input::config(config)?;
    let source = send::find(&config, &args.source)?;
    let bytes = input::body(&args.request)?;
    let file = args.request.display();
    let capture = capture::read(&bytes).with_context(|| format!("{file} is no HTTP request"))?;
    let now = args.at.map_or_else(|| wall_ms().cast_signed(), |at| at.saturating_mul(1_000));
    fetch_keys(source, &capture.request)?;
    let (explanation, is_taken) = explained(&config, source, capture, now);
    let is_good = is_taken && explanation.verdict.is_ok();
    if args.json {
        let mut shown = explanation.as_json();
        shown["verified"] = is_good.into();
        shown["source"] = json!(&*source.name);
        shown["at"] = json!(now.div_euclid(1_000));
        return Ok(Answer::json(&shown, is_good));
    }
    Ok(Answer::new(page(source, &explanation, is_taken), is_good))
}

/// Fetches the keys that the request needs. That there are none, the verification tells.
fn fetch_keys(source: &Source, request: &Request) -> Result<()> {
    let Some(keys) = &source.keys else { return Ok(()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _told = runtime.block_on(keys.prepare(&source.verifier, request));
    Ok(())
}

/// The verification, with what `serve` looks at besides; and whether that is well. The steps of the
/// verification do not tell: a secret that does not match fails there, though the next one does.
fn explained(config: &Config, source: &Source, capture: Capture, now: i64) -> (Explanation, bool) {
    let others = config.sources.iter().filter(|other| other.name != source.name);
    let others: Vec<Subject<'_>> = others.map(Source::subject).collect();
    let presets = presets::all().map(|preset| (&*preset.name, &preset.scheme.spec));
    let presets: Vec<(&str, &Spec)> = presets.collect();
    let others = Others { sources: &others, presets: &presets };
    let Capture { request, steps: of_reading } = capture;
    let path = request.target.split('?').next().unwrap_or_default();
    let way = Step::new("path", &*source.path, printable(path), path == source.path);
    let mut before = vec![way, method(source, &request)];
    before.extend(of_reading);
    before.extend(too_large(source, &request));
    let is_taken = before.iter().all(|step| step.passed);
    let captured = Captured { request: &request, has_body: true, at: now };
    let mut explanation = explain(source.subject(), captured, others, WORK);
    explanation.steps.splice(0..0, before);
    (explanation, is_taken)
}

fn method(source: &Source, request: &Request) -> Step {
    let Request { method, headers, target, .. } = request;
    let methods: Vec<&str> = source.handshakes.methods().into_iter().map(Method::as_str).collect();
    let expected = match methods.len() {
        1 => "POST".to_owned(),
        _ => format!("{}; what is not POST must be a handshake", methods.join(", ")),
    };
    Step::new("method", expected, method.as_str(), source.takes(method, headers, target))
}

/// Only where it fails: other steps say how long the body is.
fn too_large(source: &Source, request: &Request) -> Option<Step> {
    let (limit, found) = (source.body_limit, request.body.len());
    let expected = format!("{limit} bytes at the most, by `body_limit`");
    (found > limit).then(|| Step::new("body", expected, format!("{found} bytes"), false))
}

fn page(source: &Source, explanation: &Explanation, is_taken: bool) -> String {
    let step = |step: &Step| {
        let mark = if step.passed { "ok   " } else { "FAILS" };
        let Step { check, expected, found, passed: _ } = step;
        format!(
            "{mark}  {}\n       expected  {}\n       found     {}\n",
            printable(check),
            printable(expected),
            printable(found)
        )
    };
    let steps: String = explanation.steps.iter().map(step).collect();
    let end = match &explanation.verdict {
        Ok(_) if !is_taken => {
            "the signature matches, but it would not be taken: see FAILS".to_owned()
        }
        Ok(Some(index)) => format!("verified, with secret {index}"),
        Ok(None) if source.verifier.verifies() => "verified".to_owned(),
        Ok(None) => "unverified: the source takes what anybody sends".to_owned(),
        Err(refusal) => format!("refused: {}", printable(&refusal.to_string())),
    };
    let likely =
        explanation.likely.as_deref().map(|likely| format!("likely:  {}\n", printable(likely)));
    format!("{steps}\n{end}\n{}", likely.unwrap_or_default())
}
