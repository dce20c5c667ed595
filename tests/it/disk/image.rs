//! What a disk may hold after a power cut.
//!
//! Sure are a file's bytes and length as of its last sync, and a folder's entries as of the last
//! sync of that folder; a sync is sure at its end, of what came before its beginning. Of what came
//! later anything may be there: nothing, all, some of the writes, and of a write some of its
//! sectors. After a sync that failed, what waited for it is there by chance or never will be.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::trace::Call;

/// What a disk writes in one go.
const SECTOR: usize = 512;

/// What becomes of that which was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    Lost,
    Kept,
    /// Each write, or not.
    Some,
    /// Each sector of each write, or not.
    Torn,
}

/// Chance, from a seed (splitmix64).
#[derive(Debug, Clone)]
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}

#[derive(Debug, Clone)]
enum Change {
    Write { at: usize, bytes: Arc<[u8]> },
    Cut(usize),
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Cut(length) => to.resize(*length, 0),
            Self::Write { at, bytes } => write(to, *at, bytes),
        }
    }

    /// Applies those sectors that chance chooses.
    fn tear(&self, to: &mut Vec<u8>, chance: &mut Chance) {
        let Self::Write { at, bytes } = self else { return self.apply(to) };
        let mut from = 0;
        while from < bytes.len() {
            let end = ((at + from) / SECTOR + 1) * SECTOR - at;
            let end = end.min(bytes.len());
            if chance.coin() {
                write(to, at + from, &bytes[from..end]);
            }
            from = end;
        }
    }
}

fn write(to: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if to.len() < end {
        to.resize(end, 0);
    }
    to[at..end].copy_from_slice(bytes);
}

#[derive(Debug, Default)]
struct File {
    sure: Vec<u8>,
    changes: Vec<Change>,
}

/// An entry of a folder comes or goes.
#[derive(Debug, Clone)]
struct Entry {
    path: PathBuf,
    /// The file or folder that it names now.
    names: Option<Node>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Folder,
    File(usize),
}

/// A disk that is written.
#[derive(Debug)]
pub struct Disk {
    chance: Chance,
    files: Vec<File>,
    /// As running programs see it.
    now: BTreeMap<PathBuf, Node>,
    sure: BTreeMap<PathBuf, Node>,
    /// Entries that were not synced, by their folder.
    entries: HashMap<PathBuf, Vec<Entry>>,
    open: HashMap<i32, PathBuf>,
    opened: HashMap<i32, Node>,
    /// How many changes a sync that has begun is about.
    syncing: HashMap<i32, usize>,
    /// Whose syncs do nothing: a disk that lies.
    lies_about: fn(&Path) -> bool,
}

impl Disk {
    pub fn new(seed: u64) -> Self {
        Self {
            chance: Chance(seed),
            files: Vec::new(),
            now: BTreeMap::new(),
            sure: BTreeMap::new(),
            entries: HashMap::new(),
            open: HashMap::new(),
            opened: HashMap::new(),
            syncing: HashMap::new(),
            lies_about: |_| false,
        }
    }

    /// Syncs of these paths do nothing on this disk.
    pub fn lying(seed: u64, lies_about: fn(&Path) -> bool) -> Self {
        Self { lies_about, ..Self::new(seed) }
    }

    pub fn apply(&mut self, call: &Call) {
        match call {
            Call::Opened { fd, path, created, truncated } => {
                self.open(*fd, path, *created, *truncated);
            }
            Call::Closed { fd } => {
                self.open.remove(fd);
                self.opened.remove(fd);
            }
            Call::Wrote { fd, at, bytes } => {
                self.change(*fd, Change::Write { at: *at, bytes: bytes.clone() });
            }
            Call::Cut { fd, to } => self.change(*fd, Change::Cut(*to)),
            Call::MadeFolder { path } => self.enter(path, Some(Node::Folder)),
            Call::Removed { path } => self.enter(path, None),
            Call::SyncBegins { fd } => {
                let waiting = self.waiting(*fd);
                self.syncing.insert(*fd, waiting);
            }
            Call::SyncEnds { fd } => self.synced(*fd),
            Call::SyncFails { fd } => self.sync_failed(*fd),
        }
    }

    fn open(&mut self, fd: i32, path: &Path, created: bool, truncated: bool) {
        if created {
            self.files.push(File::default());
            self.enter(path, Some(Node::File(self.files.len() - 1)));
        }
        self.open.insert(fd, path.to_owned());
        // What was there before is not looked at, but for the folders.
        self.opened.insert(fd, self.now.get(path).copied().unwrap_or(Node::Folder));
        if truncated {
            self.change(fd, Change::Cut(0));
        }
    }

    fn change(&mut self, fd: i32, change: Change) {
        if let Some(Node::File(file)) = self.opened.get(&fd) {
            self.files[*file].changes.push(change);
        }
    }

    fn enter(&mut self, path: &Path, names: Option<Node>) {
        match names {
            Some(node) => self.now.insert(path.to_owned(), node),
            None => self.now.remove(path),
        };
        let entry = Entry { path: path.to_owned(), names };
        self.entries.entry(path.parent().unwrap().to_owned()).or_default().push(entry);
    }

    fn waiting(&self, fd: i32) -> usize {
        match self.opened.get(&fd) {
            Some(Node::File(file)) => self.files[*file].changes.len(),
            _ => self.open.get(&fd).and_then(|path| self.entries.get(path)).map_or(0, Vec::len),
        }
    }

    fn synced(&mut self, fd: i32) {
        let (count, path) = (self.syncing.remove(&fd).unwrap(), &self.open[&fd]);
        if (self.lies_about)(path) {
            return;
        }
        match self.opened[&fd] {
            Node::File(file) => {
                let File { sure, changes } = &mut self.files[file];
                // Of two syncs at once, the other may have been the first.
                let count = count.min(changes.len());
                changes.drain(..count).for_each(|change| change.apply(sure));
            }
            Node::Folder => {
                let entries = self.entries.entry(path.clone()).or_default();
                let count = count.min(entries.len());
                for entry in entries.drain(..count) {
                    enter(&mut self.sure, &entry);
                }
            }
        }
    }

    fn sync_failed(&mut self, fd: i32) {
        let count = self.syncing.remove(&fd).unwrap();
        if let Node::File(file) = self.opened[&fd] {
            let File { sure, changes } = &mut self.files[file];
            for change in changes.drain(..count) {
                if self.chance.coin() {
                    change.apply(sure);
                }
            }
        }
    }

    /// Writes into `folder` what the disk may hold after a power cut now.
    pub fn cut_power(&mut self, rest: Rest, folder: &Path) {
        let mut entries = self.sure.clone();
        for entry in self.entries.values().flatten() {
            if rest == Rest::Kept || rest != Rest::Lost && self.chance.coin() {
                enter(&mut entries, entry);
            }
        }
        // In order of their paths: a folder comes before what is in it.
        for (path, node) in entries {
            let to = folder.join(&path);
            if !to.parent().unwrap().is_dir() {
                continue;
            }
            match node {
                Node::Folder => fs::create_dir(to).unwrap(),
                Node::File(file) => fs::write(to, self.bytes(file, rest)).unwrap(),
            }
        }
    }

    fn bytes(&mut self, file: usize, rest: Rest) -> Vec<u8> {
        let File { sure, changes } = &self.files[file];
        let mut bytes = sure.clone();
        for change in changes {
            match rest {
                Rest::Lost => {}
                Rest::Kept => change.apply(&mut bytes),
                Rest::Some if self.chance.coin() => change.apply(&mut bytes),
                Rest::Some => {}
                Rest::Torn => change.tear(&mut bytes, &mut self.chance),
            }
        }
        bytes
    }
}

fn enter(entries: &mut BTreeMap<PathBuf, Node>, entry: &Entry) {
    match entry.names {
        Some(node) => entries.insert(entry.path.clone(), node),
        None => entries.remove(&entry.path),
    };
}
