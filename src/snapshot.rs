//! What requests and attempts are answered from: sources, routes and handlers as one, replaced as
//! one. Whoever begins with a snapshot ends with it.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::handler::{Handler, Handlers};
use crate::ledger::Rule;
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

    /// The route of that name and its handler, or why no attempt can be made on it.
    ///
    /// # Errors
    /// In words: there is no such route, it is paused, or its handler is missing or bad.
    pub fn target(&self, route: &str) -> Result<(&Route, &Arc<Handler>), String> {
        let route = self.routes.get(route).ok_or("router.toml has no such route any more")?;
        let name = &route.handler;
        match self.handlers.get(name) {
            _ if route.paused => Err("router.toml pauses the route".to_owned()),
            Some(Ok(handler)) => Ok((route, handler)),
            Some(Err(error)) => Err(format!("handler {name} cannot be loaded: {error}")),
            None => Err(format!("handler {name} is missing")),
        }
    }

    /// How the deliveries of each route are to be treated.
    pub fn rules(&self) -> Vec<Rule> {
        let rule = |route: &Arc<Route>| Rule {
            route: route.name.clone(),
            held: self.target(&route.name).err().map(Arc::from),
            ordered: route.order_by.is_some(),
        };
        self.routes.iter().map(rule).collect()
    }
}
