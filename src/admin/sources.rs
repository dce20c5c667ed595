//! What the API answers about sources, and why they refused requests.

use http::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::show::{REDACTED, hides, redacted_query};
use super::{Admin, Answer, error, json_answer};
use crate::clock::rfc3339;
use crate::refused::Kept;
use crate::source::Source;
use crate::text::head;
use crate::verify::Refusal;
use crate::verify::explain::{Captured, Explanation, Others, Subject, explain};

/// Where sources are listed, and under which what they refused is.
pub(super) const SOURCES: &str = "/api/v1/sources";

/// Bytes that one request's explanation may go through.
const WORK: usize = 8 * 1024 * 1024;
/// Bytes of a header's value that are shown.
const VALUE: usize = 256;

/// The source whose refused requests a path asks for.
pub(super) fn refused(path: &str) -> Option<&str> {
    path.strip_prefix(SOURCES)?.strip_prefix('/')?.strip_suffix("/refused")
}

impl Admin {
    /// `GET /api/v1/sources`, by name.
    pub(super) fn sources(&self) -> Value {
        let snapshot = self.current.load();
        let mut sources: Vec<&Source> = snapshot.sources().collect();
        sources.sort_by(|a, b| a.name.cmp(&b.name));
        let items: Vec<Value> = sources.into_iter().map(shown).collect();
        json!({ "items": items })
    }

    /// `GET /api/v1/sources/{name}/refused`, the latest first, explained by the configuration in
    /// force now.
    pub(super) fn refused(&self, name: &str) -> Answer {
        let snapshot = self.current.load();
        let Some(source) = snapshot.sources().find(|source| *source.name == *name) else {
            return error(StatusCode::NOT_FOUND, "there is no such source");
        };
        let others = snapshot.sources().filter(|other| other.name != source.name);
        let others: Vec<Subject<'_>> = others.map(Source::subject).collect();
        let others = Others { sources: &others, presets: &self.presets };
        let kept = self.refused.of(name);
        let items: Vec<Value> = kept.iter().map(|kept| told(source, kept, others)).collect();
        json_answer(StatusCode::OK, &json!({ "items": items }))
    }
}

fn shown(source: &Source) -> Value {
    json!({
        "name": &*source.name,
        "path": source.path,
        "preset": source.preset,
        "verified": source.verifier.verifies(),
    })
}

fn told(source: &Source, kept: &Kept, others: Others<'_>) -> Value {
    let request = &kept.request;
    let is_hidden = hides(source.verifier.signature_names().collect());
    let headers: Vec<(&str, String)> = request
        .headers
        .iter()
        .map(|(name, value)| {
            let name = name.as_str();
            let hidden = is_hidden(name) || name == "authorization";
            let value = String::from_utf8_lossy(value.as_bytes());
            (name, if hidden { REDACTED.to_owned() } else { head(&value, VALUE).to_owned() })
        })
        .collect();
    let (path, query) = request.target.split_once('?').unzip();
    let hash = kept.has_body.then(|| hex::encode(Sha256::digest(&request.body)));
    let explained = explained(source, kept, others);
    let mut told = explained.as_json();
    told["at"] = rfc3339(kept.at).into();
    told["peer"] = request.peer.to_string().into();
    told["cause"] = kept.refusal.cause().into();
    told["message"] = kept.refusal.to_string().into();
    told["method"] = request.method.as_str().into();
    told["path"] = path.unwrap_or(&request.target).into();
    told["query"] = query.map(|query| redacted_query(query, is_hidden)).into();
    told["headers"] = json!(headers);
    told["body"] = json!({ "bytes": kept.body_bytes, "sha256": hash });
    told
}

fn explained(source: &Source, kept: &Kept, others: Others<'_>) -> Explanation {
    if kept.refusal == Refusal::NotAllowed {
        let (refusal, steps) = (Refusal::NotAllowed, Vec::new());
        let likely = Some(format!("add {} to `allow`, if it is to send", kept.request.peer));
        return Explanation { verdict: Err(refusal), steps, likely };
    }
    let at = kept.at.cast_signed();
    let captured = Captured { request: &kept.request, has_body: kept.has_body, at };
    let mut explained = explain(source.subject(), captured, others, WORK);
    if explained.verdict.is_ok() && !kept.has_body {
        explained.verdict = Err(kept.refusal.clone());
        explained.likely = Some(
            "the body was too large to be kept: `hookyard verify` explains a capture".to_owned(),
        );
    }
    explained
}
