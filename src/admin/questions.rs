//! What the ledger is asked, and answers in JSON: over the API, or to the command line when no
//! server runs.

use http::StatusCode;
use serde_json::{Value, json};

use super::{query, show, why};
use crate::breaker::Breakers;
use crate::clock::rfc3339;
use crate::event::EventId;
use crate::ledger::{Group, ReadError, Reader};
use crate::snapshot::Snapshot;

/// The list of events; an event's own path is below it.
const EVENTS: &str = "/api/v1/events";
/// Dead letters by route and cause.
const DEAD_LETTERS: &str = "/api/v1/dead-letters";
/// What an event's path ends in, for the question why.
const WHY: &str = "/why";

/// What the answers come from.
pub struct Questions<'a> {
    /// The ledger.
    pub reader: &'a Reader,
    /// Sources, routes and handlers as they are now.
    pub snapshot: &'a Snapshot,
    /// How the routes are doing; `None`: this process makes no attempts, and knows no handlers.
    pub breakers: Option<&'a Breakers>,
    /// The stamp of this moment, in milliseconds since 1970.
    pub now: u64,
}

/// Why there is no answer.
#[derive(Debug)]
pub struct NoAnswer {
    /// What HTTP calls it.
    pub status: StatusCode,
    /// In words.
    pub message: String,
}

impl NoAnswer {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

impl From<ReadError> for NoAnswer {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Missing => Self::new(StatusCode::NOT_FOUND, error.to_string()),
            problem => {
                tracing::error!(%problem, "a question has no answer");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, problem.to_string())
            }
        }
    }
}

/// What is asked.
enum Question<'a> {
    Events,
    DeadLetters,
    Event(&'a str),
    Why(&'a str),
}

impl<'a> Question<'a> {
    fn of(path: &'a str) -> Option<Self> {
        Some(match path {
            EVENTS => Self::Events,
            DEAD_LETTERS => Self::DeadLetters,
            _ => {
                let id = path.strip_prefix(EVENTS)?.strip_prefix('/')?;
                id.strip_suffix(WHY).map_or(Self::Event(id), Self::Why)
            }
        })
    }
}

/// Whether a path is a question.
pub(super) fn knows(path: &str) -> bool {
    Question::of(path).is_some()
}

impl Questions<'_> {
    /// The answer to a path with its query; `None` when there is no such question.
    pub fn answer(&self, path: &str, query: &str) -> Option<Result<Value, NoAnswer>> {
        Some(match Question::of(path)? {
            Question::Events => self.events(query),
            Question::DeadLetters => self.dead_letters(query),
            Question::Event(id) => self.event(id),
            Question::Why(id) => self.why(id),
        })
    }

    fn events(&self, query: &str) -> Result<Value, NoAnswer> {
        let filter = query::filter(query);
        let filter = filter.map_err(|what| NoAnswer::new(StatusCode::BAD_REQUEST, what))?;
        let page = self.reader.list(&filter)?;
        let items: Vec<Value> = page.items.iter().map(show::summary).collect();
        Ok(json!({ "items": items, "next": page.next.map(|place| place.to_string()) }))
    }

    fn event(&self, id: &str) -> Result<Value, NoAnswer> {
        let (row, event) = self.reader.show(parse(id)?)?;
        Ok(show::whole(&row, &event, self.snapshot))
    }

    fn why(&self, id: &str) -> Result<Value, NoAnswer> {
        let (row, event) = self.reader.show(parse(id)?)?;
        Ok(why::explain(&row, &event, self.snapshot, self.breakers, self.now))
    }

    fn dead_letters(&self, query: &str) -> Result<Value, NoAnswer> {
        let cursor = query::cursor(query);
        let cursor = cursor.map_err(|what| NoAnswer::new(StatusCode::BAD_REQUEST, what))?;
        let letters = self.reader.dead_letters(cursor)?;
        let items: Vec<Value> = letters.groups.iter().map(group).collect();
        Ok(json!({ "items": items, "next": letters.next.map(|place| place.to_string()) }))
    }
}

fn parse(id: &str) -> Result<EventId, NoAnswer> {
    id.parse().map_err(|_| ReadError::Missing.into())
}

fn group(group: &Group) -> Value {
    json!({
        "route": group.route,
        "cause": group.cause,
        "count": group.count,
        "first": rfc3339(group.first),
        "last": rfc3339(group.last),
        "example": group.example.to_string(),
    })
}
