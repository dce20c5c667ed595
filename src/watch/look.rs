//! What a look at files tells without reading them.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// What was seen of each file; `None` where there is none.
pub type Seen = BTreeMap<PathBuf, Option<Stamp>>;

/// What differs when a file has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    /// Rights have changed too.
    changed: (i64, i64),
}

/// Looks at files, and at what links point to.
pub fn look(paths: impl IntoIterator<Item = PathBuf>) -> Seen {
    let seen = |path: PathBuf| {
        let stamp = fs::metadata(&path).ok().as_ref().map(stamp);
        (path, stamp)
    };
    paths.into_iter().map(seen).collect()
}

fn stamp(metadata: &Metadata) -> Stamp {
    Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        bytes: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    }
}
