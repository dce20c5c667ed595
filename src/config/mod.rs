//! `router.toml`, read and checked: either a [`Config`] without a mistake in it, or all mistakes at
//! once.

mod context;
mod diagnostic;
mod egress;
mod forward;
mod handlers;
mod handshake;
mod item;
mod jws;
mod names;
mod notes;
mod places;
pub mod presets;
mod proving;
mod reading;
mod reply;
mod routes;
mod schema;
mod scheme;
mod secrets;
mod section;
mod server;
mod setting;
mod signature;
mod sources;
mod suggest;
mod syntax;
mod units;
mod with;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::handler::Settings;
use crate::route::Route;
use crate::source::Source;

use self::item::Item;
use self::routes::Routes;
use self::section::Section;

pub use self::diagnostic::{Diagnostic, Diagnostics, Severity};
pub use self::reading::{Plugins, Reading};
pub use self::schema::schema;
pub use self::scheme::Described;
pub use self::secrets::SecretText;
pub use self::server::{Ceilings, Server, Tls};
pub use self::suggest::nearest;
pub use self::units::duration;

/// Everything that `router.toml` says.
#[derive(Debug)]
pub struct Config {
    pub server: Arc<Server>,
    /// In file order.
    pub sources: Vec<Source>,
    /// In file order.
    pub routes: Vec<Route>,
    /// Every handler that has a table or that a route names.
    pub handlers: BTreeMap<String, Settings>,
    /// What any other handler would have.
    pub other_handlers: Settings,
}

impl Config {
    /// Reads and checks the file. Relative paths in it start from its folder.
    ///
    /// The diagnostics beside a config are warnings.
    ///
    /// # Errors
    /// Everything that is wrong, and the warnings too.
    pub fn load(path: &Path) -> Result<(Self, Diagnostics), Diagnostics> {
        Reading::of(path).accept()
    }

    /// The sources of which nothing proves who sends.
    pub fn unverified(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(|source| !source.verifier.verifies())
    }
}

fn document(root: &mut Section<'_>) -> Config {
    let server = Arc::new(root.table("server", server::read));
    let sources = root.optional("sources", Item::entries).unwrap_or_default();
    let names: Vec<&str> = sources.iter().map(|entry| entry.name).collect();
    let sources = sources::read(sources, &server.data);
    let mut routes = Routes::new(&names, server.ceilings);
    let tables = root.optional("routes", Item::list).unwrap_or_default();
    let read_routes = routes.read(tables);
    let (handlers, other_handlers) = handlers::read(root, server.ceilings, &routes.handlers);
    routes.check_emitters(root.context, &handlers);
    if !server::is_loopback(server.listen) {
        root.context.warn_of_literals();
    }
    Config { server, sources, routes: read_routes, handlers, other_handlers }
}
