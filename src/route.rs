//! Routes: which of them an event matches.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::delivery::RetryPolicy;

/// A rule: events of these sources and types go to this handler.
#[derive(Debug, Clone)]
pub struct Route {
    /// Unique: it is what deliveries remember.
    pub name: Arc<str>,
    /// The names of its sources.
    pub sources: Vec<Arc<str>>,
    /// The event types that it takes.
    pub events: EventGlobs,
    /// The name of its handler.
    pub handler: Arc<str>,
    /// Wall time of one attempt.
    pub timeout: Duration,
    /// When a failed delivery is tried again.
    pub retry: RetryPolicy,
}

/// All routes, found by source and by name.
#[derive(Debug, Clone, Default)]
pub struct Table {
    by_source: HashMap<Arc<str>, Vec<Arc<Route>>>,
    by_name: HashMap<Arc<str>, Arc<Route>>,
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

    /// The routes that take events of this type from this source, in order.
    pub fn matching<'a>(
        &'a self,
        source: &str,
        kind: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Route>> {
        let routes = self.by_source.get(source).map(Vec::as_slice).unwrap_or_default();
        routes.iter().filter(move |route| route.events.matches(kind))
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

/// Globs of event types. `*` is any text (`/` and `.` too), `?` any character, `[ab]` one of
/// them, `{x,y}` either.
#[derive(Debug, Clone)]
pub enum EventGlobs {
    /// Every type.
    All,
    /// Types that one of the globs matches.
    Any(GlobSet),
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
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            set.add(glob);
        }
        Ok(Self::Any(set.build()?))
    }

    /// Whether any of the globs matches the whole event type.
    pub fn matches(&self, kind: &str) -> bool {
        match self {
            Self::All => true,
            Self::Any(globs) => globs.is_match(kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(texts: &[&str]) -> EventGlobs {
        EventGlobs::new(texts.iter().map(|text| EventGlobs::parse(text).unwrap())).unwrap()
    }

    fn route(name: &str, sources: &[&str], events: &[&str]) -> Route {
        Route {
            name: name.into(),
            sources: sources.iter().map(|source| (*source).into()).collect(),
            events: globs(events),
            handler: "h".into(),
            timeout: Duration::from_secs(1),
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

    #[test]
    fn every_route_that_matches_is_found_in_order() {
        let table = Table::new(vec![
            route("b", &["s", "t"], &["x", "y"]),
            route("a", &["s"], &["*"]),
            route("c", &["t"], &["*"]),
        ]);
        let names = |source, kind| {
            table.matching(source, kind).map(|route| route.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names("s", "x"), ["b", "a"]);
        assert_eq!(names("s", "z"), ["a"]);
        assert_eq!(names("t", "y"), ["b", "c"]);
        assert_eq!(names("u", "x"), Vec::<String>::new());
        assert_eq!(table.get("c").map(|route| &*route.name), Some("c"));
    }
}
