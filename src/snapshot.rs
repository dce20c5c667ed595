//! What requests and attempts are answered from: sources, routes and handlers as one, replaced as
//! one. Whoever begins with a snapshot ends with it.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::handler::Handlers;
use crate::network::Networks;
use crate::route::{Route, Table};
use crate::source::Source;

/// Sources, routes and handlers that belong together.
#[derive(Default)]
pub struct Snapshot {
    sources: HashMap<String, Arc<Source>>,
    /// Whose `X-Forwarded-For` is believed.
    pub proxies: Networks,
    /// The routes.
    pub routes: Table,
    /// The handlers that they name.
    pub handlers: Handlers,
}

/// What router.toml says of all that.
pub struct Rules {
    /// Their paths are unique.
    pub sources: Vec<Source>,
    pub routes: Vec<Route>,
    pub proxies: Networks,
}

/// The snapshot in force. Clones are the same one.
pub type Current = Arc<ArcSwap<Snapshot>>;

impl Snapshot {
    /// By these rules, with these handlers.
    pub fn new(rules: Rules, handlers: Handlers) -> Self {
        let Rules { sources, routes, proxies } = rules;
        let by_path = sources.into_iter().map(|source| (source.path.clone(), Arc::new(source)));
        Self { sources: by_path.collect(), proxies, routes: Table::new(routes), handlers }
    }

    /// The same rules with other handlers.
    pub fn with_handlers(&self, handlers: Handlers) -> Self {
        let Self { sources, proxies, routes, handlers: _ } = self;
        Self {
            sources: sources.clone(),
            proxies: proxies.clone(),
            routes: routes.clone(),
            handlers,
        }
    }

    /// All sources, in no order.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.sources.values().map(|source| &**source)
    }

    /// The source that posts to that path.
    pub fn source_at(&self, path: &str) -> Option<&Arc<Source>> {
        self.sources.get(path)
    }

    /// The source of that name.
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources().find(|source| *source.name == *name)
    }

    /// The names of the headers and query parameters in which a source sends signatures; none
    /// when there is no such source.
    pub fn signature_names(&self, source: &str) -> Vec<&str> {
        self.source(source)
            .into_iter()
            .flat_map(|source| source.verifier.signature_names())
            .collect()
    }

    /// The names of the routes whose handlers can be called.
    pub fn runnable(&self) -> Vec<Arc<str>> {
        let ready = |route: &&Arc<Route>| matches!(self.handlers.get(&route.handler), Some(Ok(_)));
        self.routes.iter().filter(ready).map(|route| route.name.clone()).collect()
    }
}
