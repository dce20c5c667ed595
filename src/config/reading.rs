//! A file as far as it can be read.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use crate::clock::wall_ms;
use crate::handler::Settings;

use super::Config;
use super::context::Context;
use super::diagnostic::{Diagnostics, Severity};
use super::section::Section;
use super::server::Tls;
use super::syntax;

/// What a file says, mistakes or not, and everything that was found in it.
pub struct Reading {
    /// With defaults where a mistake was. `None` when the file is no TOML.
    config: Option<Config>,
    found: Diagnostics,
}

/// Where the handlers' modules are, and how they are to be loaded.
pub struct Plugins {
    /// Their folder.
    pub folder: PathBuf,
    /// Bytes of a module at the most.
    pub module: u64,
    /// Bytes of an instance's memories at the most.
    pub memory: u64,
    /// The handlers that the file names.
    pub named: BTreeMap<String, Settings>,
    /// The settings of any other.
    pub other: Settings,
    /// Where hookyard itself listens, as far as the file says.
    pub listeners: Vec<SocketAddr>,
}

impl Reading {
    /// Reads and checks the file. Relative paths in it start from its folder.
    pub fn of(path: &Path) -> Self {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let now = wall_ms().cast_signed();
                Self::new(path, &text, &|name| std::env::var_os(name), now)
            }
            Err(error) => {
                let message = format!("cannot read the file: {error}");
                let found = Diagnostics::about(path, Severity::Error, &message, "");
                Self { config: None, found }
            }
        }
    }

    /// `now` is in milliseconds since 1970.
    pub(super) fn new(
        path: &Path,
        text: &str,
        env: &dyn Fn(&str) -> Option<OsString>,
        now: i64,
    ) -> Self {
        let (document, errors) = DeTable::parse_recoverable(text);
        let folder = path.parent().unwrap_or(Path::new(""));
        let context = Context::new(folder, env, now);
        let config = syntax::only_duplicates(&errors).then(|| {
            let table = (document.get_ref(), 0..0);
            Section::read(&context, "", table, super::document)
        });
        syntax::report(&context, text, errors);
        let (found, hidden, files) = context.finish();
        let found = Diagnostics::new(path, text, &hidden, found).with_secret_files(files);
        Self { config, found }
    }

    /// Everything that was found.
    pub fn found(&self) -> &Diagnostics {
        &self.found
    }

    /// What the file says of handlers, mistakes elsewhere or not: enough to check their modules.
    pub fn plugins(&self) -> Option<Plugins> {
        self.config.as_ref().map(Config::plugins)
    }

    /// What the file says, with defaults where a mistake was; `None` when it is no TOML. Enough to
    /// ask, not to serve.
    pub fn as_far_as_read(self) -> Option<Config> {
        self.config
    }

    /// Where the certificate and its key are, mistakes elsewhere or not.
    pub fn tls(&self) -> Option<&Tls> {
        self.config.as_ref()?.server.tls.as_ref()
    }

    /// The names of the sources of which nothing proves who sends, mistakes elsewhere or not.
    pub fn unverified(&self) -> Vec<&str> {
        self.config.iter().flat_map(Config::unverified).map(|source| &*source.name).collect()
    }

    /// The config, if there is no error in it.
    ///
    /// The diagnostics beside a config are warnings.
    ///
    /// # Errors
    /// Everything that is wrong, and the warnings too.
    pub fn accept(self) -> Result<(Config, Diagnostics), Diagnostics> {
        match self.config {
            Some(config) if !self.found.has_errors() => Ok((config, self.found)),
            _ => Err(self.found),
        }
    }
}

impl Config {
    /// What it says of handlers.
    pub fn plugins(&self) -> Plugins {
        Plugins {
            folder: self.server.plugins.clone(),
            module: self.server.ceilings.module,
            memory: self.server.ceilings.memory,
            named: self.handlers.clone(),
            other: self.other_handlers.clone(),
            listeners: vec![self.server.listen, self.server.admin],
        }
    }
}
