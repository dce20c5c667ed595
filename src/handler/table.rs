//! The table of handlers, and how the next one comes from it: what did not change is carried over,
//! and what cannot be run leaves the last good version where it is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt;
use sha2::{Digest, Sha256};

use super::{Compiler, Handler, Hash, LoadError, Outside, Settings, find, make, read, selftest};

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
    /// Its hash, and the settings with which it was tried; `None` when it was not it that failed.
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

    /// Whether a file could not be tried, so that it is worth trying again although nothing changed.
    pub fn want_another_try(&self) -> bool {
        let is_ours = |bad: &Bad| matches!(*bad.error, LoadError::Host(_));
        self.0.values().filter_map(Entry::bad).any(is_ours)
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
    let made = async {
        let handler = make(modules, name, &bytes, file, settings).await?;
        selftest::pass(&handler, modules.folder).await?;
        Ok(handler)
    };
    Some(match whole(made).await {
        Ok(handler) => Entry::Ready(Arc::new(handler)),
        Err(error @ LoadError::Host(_)) => stale(good, None, error.into()),
        Err(error) => stale(good, tried, error.into()),
    })
}

/// What comes of it, also when it panics: one file must not end the loading of all others.
async fn whole<T>(made: impl Future<Output = Result<T, LoadError>>) -> Result<T, LoadError> {
    let broke = |_| Err(LoadError::Host("it broke while it was loaded".to_owned()));
    AssertUnwindSafe(made).catch_unwind().await.unwrap_or_else(broke)
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Engines, Limits, Reach, STACKS};
    use super::*;

    #[tokio::test]
    async fn a_failure_of_ours_is_not_held_against_the_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("h.wat"), "(component)").unwrap();
        // More address space than there is.
        let engines = Engines::new(1 << 16, 1 << 20);
        let compiler = &Compiler::new(engines, None).unwrap();
        let outside = &Outside::start(Vec::new()).unwrap();
        let modules = Modules { folder: folder.path(), bytes: 1_000, compiler, outside };
        let settings = BTreeMap::from([("h".to_owned(), settings())]);
        let handlers = Handlers::default().next(&modules, settings, false).await;
        assert!(
            matches!(handlers.error("h"), Some(LoadError::Host(_))),
            "{:?}",
            handlers.error("h")
        );
        assert!(handlers.want_another_try());
        assert_eq!(handlers.0["h"].bad().unwrap().tried, None);
    }

    fn settings() -> Settings {
        Settings {
            limits: Limits {
                cpu: Duration::from_secs(1),
                memory: 1 << 20,
                stack: STACKS[0],
                reply_bytes: 0,
                log_bytes: 0,
            },
            config: Arc::default(),
            pins: BTreeSet::new(),
            reach: Reach::default(),
            secrets: BTreeMap::new(),
            grants: Arc::default(),
        }
    }

    #[tokio::test]
    async fn a_panic_is_a_file_that_cannot_be_loaded() {
        let broken = whole(async { if true { panic!("a mistake") } else { Ok(()) } }).await;
        assert!(matches!(broken, Err(LoadError::Host(_))), "{broken:?}");
        assert!(whole(async { Ok(()) }).await.is_ok());
        let bad = whole(async { Err::<(), _>(LoadError::NotAFile) }).await;
        assert!(matches!(bad, Err(LoadError::NotAFile)), "{bad:?}");
    }
}
