//! What the API says of secrets that senders hand over themselves.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use super::{Admin, Answer, error, json_answer};

const ARM: &str = "/api/v1/sources/{name}/arm";
const SHOW: &str = "/api/v1/sources/{name}/handed-over";

/// Seconds that a window is open when nothing is said.
const USUAL: u64 = 600;
/// Seconds that a window may be open at the most: a day.
const LONGEST: u64 = 86_400;

/// Something that is asked for a source.
pub(super) struct Ask<'a> {
    source: &'a str,
    verb: Verb,
}

enum Verb {
    /// Accept a secret for a while.
    Arm,
    /// Show the secret that came, once.
    Show,
}

impl<'a> Ask<'a> {
    /// What a path asks for.
    pub fn of(path: &'a str) -> Option<Self> {
        let named = |pattern: &str| {
            let (before, after) = pattern.split_once("{name}")?;
            path.strip_prefix(before)?.strip_suffix(after)
        };
        let arm = named(ARM).map(|source| Self { source, verb: Verb::Arm });
        arm.or_else(|| named(SHOW).map(|source| Self { source, verb: Verb::Show }))
    }
}

impl Admin {
    pub(super) fn hand_over(&self, ask: Ask<'_>, query: &str) -> Answer {
        match ask.verb {
            Verb::Arm => self.arm(ask.source, query),
            Verb::Show => {
                let secret = self.handovers.show(ask.source);
                json_answer(StatusCode::OK, &json!({ "secret": secret }))
            }
        }
    }

    fn arm(&self, name: &str, query: &str) -> Answer {
        let snapshot = self.current.load();
        let Some(source) = snapshot.source(name) else {
            return error(StatusCode::NOT_FOUND, "there is no such source");
        };
        if !source.handshakes.hand_over() {
            return error(StatusCode::CONFLICT, "the sender of this source hands over no secret");
        }
        if !source.verifier.is_waiting() {
            return error(StatusCode::CONFLICT, "this source has a secret already");
        }
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let seconds = pairs.find(|(name, _)| name == "seconds");
        let seconds = seconds.map_or(Ok(USUAL), |(_, value)| value.parse());
        let Ok(seconds @ 1..=LONGEST) = seconds else {
            let problem = format!("`seconds` must be a whole number up to {LONGEST}");
            return error(StatusCode::BAD_REQUEST, &problem);
        };
        self.handovers.arm(name, Duration::from_secs(seconds));
        tracing::info!(source = name, seconds, "a secret is accepted if one is handed over");
        json_answer(
            StatusCode::OK,
            &json!({ "source": name, "path": source.path, "seconds": seconds }),
        )
    }
}
