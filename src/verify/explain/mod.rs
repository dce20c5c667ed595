//! Why a request is believed or not: the verification's own steps, and the likely cause, found by
//! verifying again what the sender may have meant.
//!
//! What is said holds no secret, no token, and of a signature a few letters. It tells nobody more
//! than the answer to another request would: whatever is found to match, the request itself holds.

mod bodies;
mod forms;
mod keys;
mod search;
mod urls;

#[cfg(test)]
mod tests;

use super::trace;
use super::{Refusal, Request, Spec, Step, Verifier};
use search::Search;
use serde_json::{Value, json};

/// A source, as far as its requests can be explained by it.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub name: &'a str,
    pub verifier: &'a Verifier,
    /// What the verifier was made of.
    pub spec: &'a Spec,
    pub public_url: Option<&'a str>,
}

/// What a request may have been meant for instead.
#[derive(Clone, Copy, Default)]
pub struct Others<'a> {
    /// The other sources.
    pub sources: &'a [Subject<'a>],
    /// Presets by name.
    pub presets: &'a [(&'a str, &'a Spec)],
}

/// A request as it was captured.
#[derive(Clone, Copy)]
pub struct Captured<'a> {
    pub request: &'a Request,
    /// Whether its body is known: some requests are refused before it is read.
    pub has_body: bool,
    /// When it came in, in milliseconds since 1970.
    pub at: i64,
}

/// What came of a verification, and why.
#[derive(Debug)]
pub struct Explanation {
    /// The place of the secret that matched, if one did.
    pub verdict: Result<Option<usize>, Refusal>,
    /// What was looked at, in that order.
    pub steps: Vec<Step>,
    /// What is probably wrong.
    pub likely: Option<String>,
}

impl Explanation {
    /// `{"verified", "secret", "refusal", "steps": [{"check", "expected", "found", "passed"}],
    /// "likely_cause"}`.
    pub fn as_json(&self) -> Value {
        json!({
            "verified": self.verdict.is_ok(),
            "secret": self.verdict.as_ref().ok(),
            "refusal": self.verdict.as_ref().err().map(Refusal::to_string),
            "steps": self.steps,
            "likely_cause": self.likely,
        })
    }
}

/// Bytes that a search may go through at the most.
pub const WORK: usize = 64 * 1024 * 1024;

/// Verifies a request, and explains what comes of it. `work` bounds the bytes that are hashed in
/// the search for a cause.
pub fn explain(
    subject: Subject<'_>,
    captured: Captured<'_>,
    others: Others<'_>,
    work: usize,
) -> Explanation {
    let Captured { request, has_body, at } = captured;
    let (verdict, steps) = trace::record(|| {
        if has_body {
            subject.verifier.verify(request.clone(), at).map(|verified| verified.secret_index())
        } else {
            subject.verifier.precheck(&request.headers, &request.target).map(|()| None)
        }
    });
    let refusal = verdict.as_ref().err();
    let likely =
        refusal.map(|refusal| Search::new(subject, captured, others, work).likely(refusal));
    Explanation { verdict, steps, likely }
}
