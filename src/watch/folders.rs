//! Word from the system that something in a folder has changed.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// The folders that are watched. A file that is not there yet, or is renamed into place, has no
/// other place to be noticed.
pub struct Folders {
    /// `None` where the system tells nothing.
    watcher: Option<RecommendedWatcher>,
    /// Each with its device and inode: another folder may take its name.
    watched: BTreeMap<PathBuf, (u64, u64)>,
    touched: Arc<Notify>,
}

impl Folders {
    /// Watches nothing yet.
    pub fn new() -> Self {
        let touched = Arc::new(Notify::new());
        let touch = touched.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if !event.is_ok_and(|event| is_reading(event.kind)) {
                touch.notify_one();
            }
        });
        if let Err(error) = &watcher {
            tracing::warn!(%error, "the system tells no changes of files: they are looked for");
        }
        Self { watcher: watcher.ok(), watched: BTreeMap::new(), touched }
    }

    /// Watches these folders, as far as they exist, and no others.
    pub fn watch(&mut self, folders: &BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        self.watched.retain(|folder, id| {
            let stays = folders.contains(folder) && identity(folder) == Some(*id);
            if !stays {
                // The system has dropped it already when the folder is gone.
                let _gone = watcher.unwatch(folder);
            }
            stays
        });
        for folder in folders {
            let Entry::Vacant(place) = self.watched.entry(folder.clone()) else { continue };
            let Some(id) = identity(folder) else { continue };
            match watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => drop(place.insert(id)),
                Err(error) => {
                    tracing::debug!(folder = %folder.display(), %error, "cannot be watched");
                }
            }
        }
    }

    /// Waits until something has changed since the last time.
    pub async fn touched(&self) {
        self.touched.notified().await;
    }
}

fn is_reading(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write))
}

fn identity(folder: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(folder).ok()?;
    Some((metadata.dev(), metadata.ino()))
}
