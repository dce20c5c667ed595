//! Building the next snapshot from the files as they are now.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};

use super::look::{Seen, look};
use crate::admin::Guard;
use crate::breaker::Breakers;
use crate::config::{Config, Diagnostics, SecretText, Server, Severity};
use crate::destination::SigningKey;
use crate::handler::{self, Compiler, Handlers, LoadError, Modules, Outside, Settings, WRITABLE};
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::reload::Report;
use crate::route::Route;
use crate::snapshot::{Current, Rules, Snapshot};
use crate::target::Forward;

/// What a reload changes, and where it says so.
pub struct Shared {
    /// The snapshot in force.
    pub current: Current,
    /// Who may ask the admin side.
    pub guard: Arc<ArcSwap<Guard>>,
    /// What holds the deliveries of routes that cannot run.
    pub ledger: Ledger,
    /// Which routes are left alone for a while.
    pub breakers: Breakers,
    /// What is counted.
    pub metrics: Metrics,
    /// What handlers send requests by, and events are forwarded.
    pub outside: Arc<Outside>,
    /// What forwarded events are signed with where a route has no key of its own.
    pub key: SigningKey,
}

impl Shared {
    /// What forwards the events of a route, if anything does.
    fn forward(&self, route: &Route) -> Option<(Arc<str>, Arc<Forward>)> {
        let (name, there) = (route.name.clone(), route.to.destination()?.clone());
        let forward = Forward::new(name.clone(), there, &self.key, self.outside.clone());
        Some((name, Arc::new(forward)))
    }
}

/// Loads router.toml, its secrets and its handlers.
pub struct Loader {
    shared: Shared,
    compiler: Compiler,
    /// router.toml.
    path: PathBuf,
    /// As the process was started.
    started: Arc<Server>,
    /// As router.toml said when it was last good.
    server: Arc<Server>,
    settings: BTreeMap<String, Settings>,
    /// router.toml, and the files of its secrets.
    files: Vec<PathBuf>,
    /// Their hashes; `None` where there is no file.
    contents: BTreeMap<PathBuf, Option<[u8; 32]>>,
    seen: Seen,
    /// The warnings that the log has.
    warned: BTreeSet<String>,
    /// The errors that it has, and that nobody has mended yet.
    bad: BTreeSet<String>,
}

impl Loader {
    /// A loader that has loaded nothing yet; `read` is what reading router.toml gave.
    pub fn new(
        shared: Shared,
        compiler: Compiler,
        server: Arc<Server>,
        read: &Diagnostics,
    ) -> Self {
        let files: Vec<_> = read.files().map(Path::to_owned).collect();
        Self {
            shared,
            compiler,
            path: read.path().to_owned(),
            started: server.clone(),
            server,
            settings: BTreeMap::new(),
            contents: contents(&files),
            seen: look(files.clone()),
            files,
            warned: BTreeSet::new(),
            bad: BTreeSet::new(),
        }
    }

    /// Loads what there is at the start, with router.toml read already.
    pub async fn first(&mut self, config: Config) {
        let rules = self.adopt(config);
        self.load(Some(rules), false, Report::default()).await;
    }

    /// Loads what there is now. Files that were bad before are tried anew with `again`.
    pub async fn reload(&mut self, again: bool) -> Report {
        self.seen = self.look();
        let mut report = Report::default();
        let rules = self.read(&mut report);
        let report = self.load(rules, again, report).await;
        self.shared.metrics.reloads.with_label_values(&[report.result()]).inc();
        report
    }

    /// Looks at all files that matter.
    pub fn look(&self) -> Seen {
        let folder = &self.server.plugins;
        let files = self.settings.keys().flat_map(|name| handler::files(folder, name));
        look(self.files.iter().cloned().chain(files))
    }

    /// Whether that look saw other files than the last load.
    pub fn differs_from(&self, seen: &Seen) -> bool {
        self.seen != *seen
    }

    /// Whether something could not be loaded that may be loaded now.
    pub fn wants_another_try(&self) -> bool {
        self.shared.current.load().handlers.want_another_try()
    }

    /// The folders of all files that matter.
    pub fn folders(&self) -> BTreeSet<PathBuf> {
        let parents = self.files.iter().filter_map(|file| file.parent());
        let folders = parents.chain([self.server.plugins.as_path()]);
        // The folder of a bare name is the one that the process is in.
        folders.map(|folder| Path::new(".").join(folder)).collect()
    }

    /// Reads router.toml; `None` leaves it at what it said before.
    fn read(&mut self, report: &mut Report) -> Option<Rules> {
        let (config, found) = match Config::load(&self.path) {
            Ok((config, warnings)) => (Some(config), warnings),
            Err(found) => (None, found),
        };
        report.warnings = found.lines(Severity::Warning);
        report.errors = found.lines(Severity::Error);
        self.files = found.files().map(Path::to_owned).collect();
        let before = std::mem::replace(&mut self.contents, contents(&self.files));
        let changed = self
            .contents
            .iter()
            .filter(|(path, hash)| before.get(*path).is_some_and(|before| before != *hash));
        report.changed = changed.map(|(path, _)| path.display().to_string()).collect();
        let config = config?;
        report.restart = self.started.waiting(&config.server);
        Some(self.adopt(config))
    }

    /// Takes over what a running process can.
    fn adopt(&mut self, config: Config) -> Rules {
        self.server = config.server;
        self.settings = config.handlers;
        let (sources, routes) = (config.sources, config.routes);
        let forwards = routes.iter().filter_map(|route| self.shared.forward(route)).collect();
        Rules { sources, routes, forwards, proxies: self.server.trusted_proxies.clone() }
    }

    /// Loads the handlers, and puts the next snapshot in force.
    async fn load(&mut self, rules: Option<Rules>, again: bool, mut report: Report) -> Report {
        self.look_before_reading();
        let last = self.shared.current.load_full();
        let modules = Modules {
            folder: &self.server.plugins,
            bytes: self.server.ceilings.module,
            compiler: &self.compiler,
            outside: &self.shared.outside,
        };
        let handlers = last.handlers.next(&modules, self.settings.clone(), again).await;
        let files = report.changed.join(", ");
        let is_new = rules.is_some() && !files.is_empty();
        let next = Arc::new(match rules {
            Some(rules) => Snapshot::new(rules, handlers),
            None => last.with_handlers(handlers),
        });
        self.put_in_force(next.clone());
        self.shared.ledger.rule(next.rules()).await;
        self.shared.breakers.try_again(self.shared.ledger.now(), |_| true);
        show_sources(&self.shared.metrics, &next);
        add_handlers(&mut report, &last.handlers, &next);
        if is_new {
            tracing::info!(files, "a new configuration is in force");
        }
        add_writable(&mut report, &self.server.plugins);
        self.tell(&report);
        report
    }

    /// What requests and attempts use from now on, and who may ask.
    fn put_in_force(&self, next: Arc<Snapshot>) {
        self.shared.current.store(next);
        // Another address waits for a restart, and who may ask there with it.
        if self.server.admin == self.started.admin {
            self.shared.guard.store(Arc::new(guard(&self.server)));
        }
    }

    /// What changes from now on is seen as different, also in files that matter only now.
    fn look_before_reading(&mut self) {
        let mut seen = self.look();
        for (path, stamp) in &mut seen {
            if let Some(before) = self.seen.get(path) {
                *stamp = *before;
            }
        }
        self.seen = seen;
    }

    /// Says what is new.
    fn tell(&mut self, report: &Report) {
        let Report { changed: _, restart, warnings, errors } = report;
        let waiting = restart.iter().map(|key| format!("`{key}` waits for a restart"));
        let snapshot = self.shared.current.load();
        let open = snapshot.sources().filter(|source| !source.verifier.verifies());
        let open = open.map(|source| {
            format!("sources.{} is unverified: nothing proves who sends", source.name)
        });
        let warnings: Vec<String> = warnings.iter().cloned().chain(waiting).chain(open).collect();
        for warning in warnings.iter().filter(|line| !self.warned.contains(*line)) {
            tracing::warn!("{warning}");
        }
        let errors: BTreeSet<String> = errors.iter().cloned().collect();
        for error in errors.difference(&self.bad) {
            tracing::error!(error, "cannot be loaded");
        }
        for error in self.bad.difference(&errors) {
            tracing::info!(error, "no longer so");
        }
        (self.warned, self.bad) = (warnings.into_iter().collect(), errors);
    }
}

/// Who may ask the admin side, by router.toml.
pub fn guard(server: &Server) -> Guard {
    let token = server.admin_token.as_ref().map(SecretText::expose);
    Guard::new(token, server.admin_hosts.clone())
}

/// Adds to a report who else may change the code that is run.
fn add_writable(report: &mut Report, folder: &Path) {
    let writable = handler::writable_by_others(folder).into_iter();
    report.warnings.extend(writable.map(|path| format!("{}: {WRITABLE}", path.display())));
}

/// Adds to a report, and says, which handlers changed; and adds what is wrong with them.
fn add_handlers(report: &mut Report, last: &Handlers, next: &Snapshot) {
    let mut names = next.handlers.names();
    names.extend(last.names());
    names.extend(next.routes.iter().filter_map(|route| route.to.handler()));
    for name in names {
        let handler = next.handlers.get(name).and_then(Result::ok);
        let before = last.get(name).and_then(Result::ok);
        if handler.map(Arc::as_ptr) != before.map(Arc::as_ptr) {
            match handler {
                Some(handler) => {
                    tracing::info!(handler = %name, version = %handler.version(), "loaded");
                }
                None => tracing::info!(handler = %name, "nothing names it any more"),
            }
            report.changed.push(format!("handlers.{name}"));
        }
        let line = |what: &dyn Display| format!("handlers.{name}: {what}");
        match next.handlers.error(name) {
            Some(gone @ LoadError::Gone) => report.warnings.push(line(gone)),
            Some(error) => report.errors.push(line(error)),
            None if handler.is_none() && is_named(next, name) => {
                report.warnings.push(line(&"the handler's file is missing: deliveries are parked"));
            }
            None => {}
        }
    }
}

/// Shows in the metrics which sources there are, and which of them are verified.
fn show_sources(metrics: &Metrics, snapshot: &Snapshot) {
    metrics.source_verified.reset();
    for source in snapshot.sources() {
        let verified = i64::from(source.verifier.verifies());
        metrics.source_verified.with_label_values(&[&*source.name]).set(verified);
    }
}

fn is_named(snapshot: &Snapshot, handler: &str) -> bool {
    snapshot.routes.iter().any(|route| route.to.handler().is_some_and(|name| **name == *handler))
}

fn contents(files: &[PathBuf]) -> BTreeMap<PathBuf, Option<[u8; 32]>> {
    let hash = |path: &PathBuf| fs::read(path).ok().map(|bytes| Sha256::digest(bytes).into());
    files.iter().map(|path| (path.clone(), hash(path))).collect()
}
