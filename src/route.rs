//! Routes: which of them an event matches.

use std::borrow::Cow;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::breaker;
use crate::condition::{Condition, Facts, Failure};
use crate::delivery::{Backlog, RetryPolicy};
use crate::destination::Destination;
use crate::event::Event;
use crate::pointer::Pointer;

/// A rule: events of these sources and types, if the condition holds, go to this handler.
#[derive(Debug, Clone)]
pub struct Route {
    /// Unique: it is what deliveries remember.
    pub name: Arc<str>,
    /// The names of its sources.
    pub sources: Vec<Arc<str>>,
    /// Whether the sender waits for the handler.
    pub mode: Mode,
    /// The event types that it takes.
    pub events: EventGlobs,
    /// What must hold for them, if not every one is taken.
    pub when: Option<Condition>,
    /// Where they go.
    pub to: To,
    /// Wall time of one attempt.
    pub timeout: Duration,
    /// When a failed delivery is tried again.
    pub retry: RetryPolicy,
    /// Leads to what deliveries have in common that are kept in order, if they are.
    pub order_by: Option<Pointer>,
    /// Attempts under way at once at the most; `None`: as many as it finds places for.
    pub concurrency: Option<NonZeroUsize>,
    /// When it is left alone for a while. A sync route never is.
    pub breaker: breaker::Policy,
    /// How much may wait to be settled.
    pub backlog: Backlog,
    /// Whether no attempts are made for now.
    pub paused: bool,
}

/// Where the events of a route go.
#[derive(Debug, Clone)]
pub enum To {
    /// To the handler of that name.
    Handler(Arc<str>),
    /// To a URL, as they came.
    Forward(Arc<Destination>),
    /// To the handler of that name, and what it replies to a URL.
    Then(Arc<str>, Arc<Destination>),
}

impl To {
    /// The handler's name, if there is one.
    pub fn handler(&self) -> Option<&Arc<str>> {
        match self {
            Self::Handler(name) | Self::Then(name, _) => Some(name),
            Self::Forward(_) => None,
        }
    }

    /// Where they are forwarded to, if they are.
    pub fn destination(&self) -> Option<&Arc<Destination>> {
        match self {
            Self::Handler(_) => None,
            Self::Forward(destination) | Self::Then(_, destination) => Some(destination),
        }
    }
}

impl Route {
    /// The value that orders an event on this route; `None` where nothing does.
    pub fn order<'e>(&self, event: &'e Event) -> Option<Cow<'e, str>> {
        let pointer = self.order_by.as_ref()?;
        let (_, value) = event.document().ok()?.first(&[pointer]).ok()??;
        Some(value)
    }
}

/// When the sender gets its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As soon as the event is durable.
    Async,
    /// When the handler is done, with what it came to.
    Sync,
}

/// What a route says to an event.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It takes it.
    Takes,
    /// The event's source is none of its sources.
    OtherSource,
    /// None of its globs matches the event's type.
    OtherType,
    /// Its condition does not hold.
    ConditionIsFalse,
    /// Nobody can say whether its condition holds, so it does not take it.
    CannotSay(Failure),
}

impl Route {
    /// Whether it takes an event, and why not.
    pub fn verdict(&self, facts: &Facts<'_>) -> Verdict {
        if !self.sources.iter().any(|source| **source == *facts.source()) {
            return Verdict::OtherSource;
        }
        if !self.events.matches(facts.kind()) {
            return Verdict::OtherType;
        }
        match self.when.as_ref().map(|when| when.holds(facts)) {
            None | Some(Ok(true)) => Verdict::Takes,
            Some(Ok(false)) => Verdict::ConditionIsFalse,
            Some(Err(failure)) => Verdict::CannotSay(failure),
        }
    }
}

/// All routes, found by source, event type and name.
#[derive(Debug, Clone, Default)]
pub struct Table {
    by_source: HashMap<Arc<str>, Candidates>,
    by_name: HashMap<Arc<str>, Arc<Route>>,
}

/// The routes of one source. Those that name their types are found by them: there may be
/// thousands, one a type.
#[derive(Debug, Clone, Default)]
struct Candidates {
    routes: Vec<Arc<Route>>,
    /// The places of those that take this very type.
    by_type: HashMap<String, Vec<usize>>,
    /// The places of all others, whose globs have to be asked.
    others: Vec<usize>,
}

impl Candidates {
    fn push(&mut self, route: Arc<Route>) {
        let place = self.routes.len();
        match route.events.names() {
            Some(types) => {
                for kind in types {
                    let places = self.by_type.entry(kind.clone()).or_default();
                    // A type may be named twice.
                    if places.last() != Some(&place) {
                        places.push(place);
                    }
                }
            }
            None => self.others.push(place),
        }
        self.routes.push(route);
    }

    /// Those that may take events of that type, in order.
    fn of(&self, kind: &str) -> impl Iterator<Item = &Arc<Route>> {
        let mut named = self.by_type.get(kind).map(Vec::as_slice).unwrap_or_default();
        let mut others = &*self.others;
        std::iter::from_fn(move || {
            let next = match (named, others) {
                ([a, ..], [b, ..]) if a < b => &mut named,
                ([_, ..], []) => &mut named,
                _ => &mut others,
            };
            let place = next.split_off_first()?;
            self.routes.get(*place)
        })
    }
}

impl Table {
    /// A table of these routes, in this order. Their names are unique.
    pub fn new(routes: Vec<Route>) -> Self {
        let mut table = Self::default();
        for route in routes.into_iter().map(Arc::new) {
            for source in &route.sources {
                table.by_source.entry(source.clone()).or_default().push(route.clone());
            }
            table.by_name.insert(route.name.clone(), route);
        }
        table
    }

    /// The routes that take an event, in order. A route whose condition cannot be answered does
    /// not, and `failed` is told.
    pub fn matching<'a>(
        &'a self,
        facts: &Facts<'_>,
        failed: impl Fn(&Route, &Failure),
    ) -> impl Iterator<Item = &'a Arc<Route>> {
        let candidates = self.by_source.get(facts.source());
        let routes = candidates.into_iter().flat_map(|candidates| candidates.of(facts.kind()));
        routes.filter(move |route| match route.verdict(facts) {
            Verdict::Takes => true,
            Verdict::CannotSay(failure) => {
                failed(route, &failure);
                false
            }
            Verdict::OtherSource | Verdict::OtherType | Verdict::ConditionIsFalse => false,
        })
    }

    /// The route of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Route>> {
        self.by_name.get(name)
    }

    /// All routes, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.by_name.values()
    }
}

/// What makes more of a glob than a name.
const GLOB: [char; 7] = ['*', '?', '[', ']', '{', '}', '\\'];

/// Globs of event types. `*` is any text (`/` and `.` too), `?` any character, `[ab]` one of
/// them, `{x,y}` either.
#[derive(Debug, Clone)]
pub enum EventGlobs {
    /// Every type.
    All,
    /// Types that one of the globs matches.
    Any {
        /// The globs as they were written.
        texts: Vec<String>,
        /// The same, compiled.
        set: GlobSet,
    },
}

impl EventGlobs {
    /// Compiles one glob.
    ///
    /// # Errors
    /// It is malformed.
    pub fn parse(text: &str) -> Result<Glob, globset::Error> {
        GlobBuilder::new(text).literal_separator(false).backslash_escape(true).build()
    }

    /// A set that matches what any of the globs does.
    ///
    /// # Errors
    /// Together they are too large.
    pub fn new(globs: impl IntoIterator<Item = Glob>) -> Result<Self, globset::Error> {
        let (mut set, mut texts) = (GlobSetBuilder::new(), Vec::new());
        for glob in globs {
            texts.push(glob.glob().to_owned());
            set.add(glob);
        }
        Ok(Self::Any { texts, set: set.build()? })
    }

    /// The types that it takes, where it names each.
    fn names(&self) -> Option<&[String]> {
        match self {
            Self::Any { texts, .. } if !texts.iter().any(|text| text.contains(GLOB)) => Some(texts),
            Self::All | Self::Any { .. } => None,
        }
    }

    /// Whether any of the globs matches the whole event type.
    pub fn matches(&self, kind: &str) -> bool {
        match self {
            Self::All => true,
            Self::Any { set, .. } => set.is_match(kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use bytes::Bytes;

    use super::*;
    use crate::delivery::Full;
    use crate::event::{Event, Headers};

    fn globs(texts: &[&str]) -> EventGlobs {
        EventGlobs::new(texts.iter().map(|text| EventGlobs::parse(text).unwrap())).unwrap()
    }

    fn route(name: &str, sources: &[&str], events: &[&str]) -> Route {
        Route {
            name: name.into(),
            sources: sources.iter().map(|source| (*source).into()).collect(),
            mode: Mode::Async,
            events: globs(events),
            when: None,
            to: To::Handler("h".into()),
            timeout: Duration::from_secs(1),
            order_by: None,
            concurrency: None,
            breaker: breaker::Policy {
                failures: None,
                after: Duration::ZERO,
                first: Duration::ZERO,
                max: Duration::ZERO,
            },
            backlog: Backlog { events: 1, bytes: 1, full: Full::Refuse },
            paused: false,
            retry: RetryPolicy {
                attempts: 1,
                first: Duration::ZERO,
                factor: 1.0,
                max: Duration::ZERO,
            },
        }
    }

    #[test]
    fn a_glob_matches_a_whole_type() {
        for (glob, kind, expected) in [
            ("*", "", true),
            ("*", "a/b.c", true),
            ("JOB_*", "JOB_COMPLETED", true),
            ("JOB_*", "MY_JOB_COMPLETED", false),
            ("JOB_*", "job_completed", false),
            ("sync.complete", "sync.complete", true),
            ("sync.complete", "syncXcomplete", false),
            ("a?c", "abc", true),
            ("{a,b}.[xy]", "b.y", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
        ] {
            assert_eq!(globs(&[glob]).matches(kind), expected, "{glob} {kind}");
        }
        assert!(EventGlobs::parse("[a").is_err());
    }

    fn event(source: &str, kind: &str, body: &'static str) -> Event {
        let (headers, body) = (Headers::restore(b""), Bytes::from_static(body.as_bytes()));
        Event::restore(source.into(), kind.into(), 0, None, Vec::new(), headers, body)
    }

    /// The names of the routes that match, and of those whose condition failed.
    fn matching(table: &Table, event: &Event) -> (Vec<String>, Vec<String>) {
        let failures = RefCell::new(Vec::new());
        let failed = |route: &Route, _: &Failure| {
            failures.borrow_mut().push(route.name.to_string());
        };
        let facts = Facts::new(event);
        let names = table.matching(&facts, failed).map(|route| route.name.to_string()).collect();
        (names, failures.into_inner())
    }

    #[test]
    fn every_route_that_matches_is_found_in_order() {
        let table = Table::new(vec![
            route("b", &["s", "t"], &["x", "y"]),
            route("a", &["s"], &["*"]),
            route("c", &["t"], &["*"]),
        ]);
        let names = |source, kind| matching(&table, &event(source, kind, "")).0;
        assert_eq!(names("s", "x"), ["b", "a"]);
        assert_eq!(names("s", "z"), ["a"]);
        assert_eq!(names("t", "y"), ["b", "c"]);
        assert_eq!(names("u", "x"), Vec::<String>::new());
        assert_eq!(table.get("c").map(|route| &*route.name), Some("c"));
    }

    #[test]
    fn routes_that_name_types_and_those_with_globs_are_found_alike() {
        let all = [
            ("a", vec!["x"]),
            ("b", vec!["*"]),
            ("c", vec!["y", "x", "y"]),
            ("d", vec!["{x,z}"]),
            ("e", vec!["z"]),
            ("f", vec!["x", "w*"]),
            ("g", vec!["\\*"]),
            ("h", vec!["x"]),
        ];
        let routes = all.iter().map(|(name, events)| route(name, &["s"], events));
        let table = Table::new(routes.collect());
        for kind in ["x", "y", "z", "w1", "*", ""] {
            let taken = all.iter().filter(|(_, events)| globs(events).matches(kind));
            let expected: Vec<_> = taken.map(|(name, _)| (*name).to_owned()).collect();
            assert_eq!(matching(&table, &event("s", kind, "")).0, expected, "{kind}");
        }
    }

    #[test]
    fn a_route_takes_what_its_condition_holds_for() {
        let when = |name, events: &[&str], text| Route {
            when: Some(Condition::parse(text).unwrap()),
            ..route(name, &["s"], events)
        };
        let table = Table::new(vec![
            when("acme", &["x"], "body.tenant == 'acme'"),
            when("other", &["x"], "body.tenant != 'acme'"),
            when("elsewhere", &["y"], "body.tenant == 'acme'"),
            route("all", &["s"], &["x"]),
        ]);
        let look = |body| matching(&table, &event("s", "x", body));
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(look(r#"{"tenant":"acme"}"#), (names(&["acme", "all"]), names(&[])));
        assert_eq!(look(r#"{"tenant":"b"}"#), (names(&["other", "all"]), names(&[])));
        assert_eq!(look("{}"), (names(&["all"]), names(&["acme", "other"])));
    }
}
