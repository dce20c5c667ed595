//! The table of handlers, and how the next one comes from it: what did not change is carried over,
//! and what cannot be run leaves the last good version where it is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Compiler, Handler, Hash, LoadError, Outside, Settings, find, make, read};

/// The handlers that routes name. A name that is not in it never had a file.
#[derive(Default)]
pub struct Handlers(HashMap<Arc<str>, Entry>);

/// Where handlers come from.
pub struct Modules<'a> {
    /// The folder of `<name>.wasm` and `<name>.wat`.
    pub folder: &'a Path,
    /// Bytes of a file at the most.
    pub bytes: u64,
    /// What makes programs of files.
    pub compiler: &'a Compiler,
    /// What handlers send requests by.
    pub outside: &'a Arc<Outside>,
}

/// What is known of one handler.
enum Entry {
    /// Its file as it is now.
    Ready(Arc<Handler>),
    /// An earlier file; and the one that is there now, if any, which cannot be run.
    Stale(Arc<Handler>, Bad),
    /// It has no file that could ever be run.
    Bad(Bad),
}

/// A file that cannot be run.
#[derive(Clone)]
struct Bad {
    /// Its hash, and the settings with which it was tried; `None` when it could not be read.
    tried: Option<(Hash, Settings)>,
    error: Arc<LoadError>,
}

impl Entry {
    fn handler(&self) -> Option<&Arc<Handler>> {
        match self {
            Self::Ready(handler) | Self::Stale(handler, _) => Some(handler),
            Self::Bad(_) => None,
        }
    }

    fn bad(&self) -> Option<&Bad> {
        match self {
            Self::Ready(_) => None,
            Self::Stale(_, bad) | Self::Bad(bad) => Some(bad),
        }
    }
}

impl Handlers {
    /// The next table: of all names with settings, from the files as they are now. A file that was
    /// bad before is tried anew when it has changed, or with `again`.
    pub async fn next(
        &self,
        modules: &Modules<'_>,
        settings: BTreeMap<String, Settings>,
        again: bool,
    ) -> Self {
        let mut next = HashMap::new();
        for (name, settings) in settings {
            let name: Arc<str> = name.into();
            let before = self.0.get(&name);
            next.extend(entry(&name, before, modules, settings, again).await.map(|it| (name, it)));
        }
        Self(next)
    }

    /// The handler of that name, or why it cannot be called; `None` when it never had a file.
    pub fn get(&self, name: &str) -> Option<Result<&Arc<Handler>, &LoadError>> {
        self.0.get(name).map(|entry| match entry {
            Entry::Ready(handler) | Entry::Stale(handler, _) => Ok(handler),
            Entry::Bad(bad) => Err(&*bad.error),
        })
    }

    /// What is wrong with the file as it is now, although an earlier one may be in use.
    pub fn error(&self, name: &str) -> Option<&LoadError> {
        self.0.get(name)?.bad().map(|bad| &*bad.error)
    }

    /// The names, in order.
    pub fn names(&self) -> BTreeSet<&Arc<str>> {
        self.0.keys().collect()
    }
}

/// What becomes of one name.
async fn entry(
    name: &Arc<str>,
    before: Option<&Entry>,
    modules: &Modules<'_>,
    settings: Settings,
    again: bool,
) -> Option<Entry> {
    let last = before.and_then(Entry::handler).filter(|last| settings.allow(&last.file));
    let good = last.map(|handler| carried(handler, &settings));
    let bytes = match find(modules.folder, name) {
        Ok(Some(path)) => read(&path, modules.bytes),
        Ok(None) => return good.map(|good| stale(Some(good), None, LoadError::Gone.into())),
        Err(error) => Err(error),
    };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) => return Some(stale(good, None, error.into())),
    };
    let file = Hash::from(Sha256::digest(&bytes));
    let runs_here = |last: &&Arc<Handler>| last.settings.limits.stack == settings.limits.stack;
    if last.filter(runs_here).is_some_and(|last| last.file == file) {
        return good.map(Entry::Ready);
    }
    let tried = Some((file, settings.clone()));
    let known = before.and_then(Entry::bad).filter(|bad| bad.tried == tried && !again);
    if let Some(bad) = known {
        return Some(stale(good, tried, bad.error.clone()));
    }
    if !settings.allow(&file) {
        return Some(stale(good, tried, LoadError::NotPinned(hex::encode(file)).into()));
    }
    Some(match make(modules, name, &bytes, file, settings).await {
        Ok(handler) => Entry::Ready(Arc::new(handler)),
        Err(error) => stale(good, tried, error.into()),
    })
}

/// The same handler, with the settings as they are now, except for the stack, which is its engine's.
fn carried(handler: &Arc<Handler>, settings: &Settings) -> Arc<Handler> {
    let mut settings = settings.clone();
    settings.limits.stack = handler.settings.limits.stack;
    if handler.settings == settings { handler.clone() } else { Arc::new(handler.with(settings)) }
}

fn stale(
    good: Option<Arc<Handler>>,
    tried: Option<(Hash, Settings)>,
    error: Arc<LoadError>,
) -> Entry {
    let bad = Bad { tried, error };
    match good {
        Some(good) => Entry::Stale(good, bad),
        None => Entry::Bad(bad),
    }
}
