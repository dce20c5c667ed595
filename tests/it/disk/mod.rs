//! Disks that lose power, fill up and fail, under the real program.
//!
//! A library between the program and the system (`tests/fixtures/disk/disk.c`) records what the
//! program does to its files, and lets calls fail. From the record, [`image`] makes what a disk may
//! hold after a power cut at any moment: what was synced, and of the rest what chance leaves of it.

mod faults;
mod image;
mod load;
mod power;
mod trace;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::preload;
use crate::yard::Yard;

/// The library, compiled once.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| preload::library("disk"))
}

/// A yard whose disk is watched.
pub struct Watched {
    pub yard: Yard,
    beside: TempDir,
}

impl Watched {
    /// A yard in which nothing runs yet.
    pub fn new(config: &str, plugins: &[(&str, &str)]) -> Self {
        let (mut yard, beside) = (Yard::new(config), tempfile::tempdir().unwrap());
        for (name, text) in plugins {
            yard.plugin(&format!("{name}.wat"), text);
        }
        yard.environment = vec![
            ("LD_PRELOAD", library().to_owned()),
            ("DISK_ROOT", yard.folder.path().canonicalize().unwrap()),
            ("DISK_TRACE", beside.path().join("trace")),
            ("DISK_FAULTS", beside.path().join("faults")),
        ];
        Self { yard, beside }
    }

    /// Where the record stands.
    pub fn moment(&self) -> usize {
        fs::metadata(self.beside.path().join("trace")).unwrap().len() as usize
    }

    pub fn trace(&self) -> trace::Trace {
        let root = self.yard.folder.path().canonicalize().unwrap();
        trace::Trace::read(&fs::read(self.beside.path().join("trace")).unwrap(), &root)
    }

    /// From now on such calls fail, on paths that contain `part`: the `nth`, or each if it is 0.
    pub fn fail(&self, kind: char, error: i32, part: &str, nth: u32) {
        let (next, faults) = (self.beside.path().join("next"), self.beside.path().join("faults"));
        fs::write(&next, format!("{kind} {error} {part} {nth}\n")).unwrap();
        fs::rename(next, faults).unwrap();
    }

    /// The disk works again.
    pub fn mend(&self) {
        fs::remove_file(self.beside.path().join("faults")).unwrap();
    }
}
