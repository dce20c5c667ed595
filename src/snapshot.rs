//! What requests and attempts are answered from: sources, routes and handlers as one, replaced as
//! one. Whoever begins with a snapshot ends with it.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::handler::Handlers;
use crate::ledger::Rule;
use crate::network::Networks;
use crate::route::{Route, Table, To};
use crate::source::Source;
use crate::target::{Forwards, Target};

/// Sources, routes and handlers that belong together.
#[derive(Default)]
pub struct Snapshot {
    sources: HashMap<String, Arc<Source>>,
    /// Whose `X-Forwarded-For` is believed.
    pub proxies: Networks,
    /// The routes.
    pub routes: Table,
    forwards: Forwards,
    /// The handlers that they name.
    pub handlers: Handlers,
}

/// What router.toml says of all that.
pub struct Rules {
    /// Their paths are unique.
    pub sources: Vec<Source>,
    pub routes: Vec<Route>,
    /// Of each route that forwards its events; of none where nothing runs.
    pub forwards: Forwards,
    pub proxies: Networks,
}

/// The snapshot in force. Clones are the same one.
pub type Current = Arc<ArcSwap<Snapshot>>;

impl Snapshot {
    /// By these rules, with these handlers.
    pub fn new(rules: Rules, handlers: Handlers) -> Self {
        let Rules { sources, routes, forwards, proxies } = rules;
        let by_path = sources.into_iter().map(|source| (source.path.clone(), Arc::new(source)));
        let (sources, routes) = (by_path.collect(), Table::new(routes));
        Self { sources, proxies, routes, forwards, handlers }
    }

    /// The same rules with other handlers.
    pub fn with_handlers(&self, handlers: Handlers) -> Self {
        let Self { sources, proxies, routes, forwards, handlers: _ } = self;
        Self {
            sources: sources.clone(),
            proxies: proxies.clone(),
            routes: routes.clone(),
            forwards: forwards.clone(),
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

    /// The route of that name and what its attempts call, or why none can be made on it.
    ///
    /// # Errors
    /// In words: there is no such route, it is paused, or its handler is missing or bad.
    pub fn target(&self, route: &str) -> Result<(&Route, Target<'_>), String> {
        let route = self.routes.get(route).ok_or("router.toml has no such route any more")?;
        if route.paused {
            return Err("router.toml pauses the route".to_owned());
        }
        let forward = || self.forwards.get(&route.name).ok_or("nothing is forwarded here");
        let handler = |name| match self.handlers.get(name) {
            Some(Ok(handler)) => Ok(handler),
            Some(Err(error)) => Err(format!("handler {name} cannot be loaded: {error}")),
            None => Err(format!("handler {name} is missing")),
        };
        let target = match &route.to {
            To::Handler(name) => Target::Handler(handler(name)?),
            To::Forward(_) => Target::Forward(forward()?),
            To::Then(name, _) => Target::Then(handler(name)?, forward()?),
        };
        Ok((route, target))
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
