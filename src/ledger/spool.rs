//! The folder of large bodies, one file each.
//!
//! A file is there before its event is committed, and after its event was removed. Meanwhile the
//! table `spooled` says which files events own, and memory which are on their way to it; a crash
//! leaves files that neither knows, which [`Spool::sweep`] finds.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ulid::Ulid;

use crate::seldom::Seldom;

/// The log hears no more often than this that bodies cannot be written.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// The folder.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    /// Files whose events are not committed yet.
    coming: Mutex<HashSet<String>>,
    troubled: Seldom,
}

/// A body's file. It is removed again unless an event comes to own it.
#[derive(Debug)]
pub struct Spooled {
    spool: Arc<Spool>,
    name: String,
    bytes: usize,
    stays: bool,
}

impl Spool {
    /// In that folder, which is there.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, coming: Mutex::default(), troubled: Seldom::new(TELL_EVERY) }
    }

    /// Writes a body to a new file and waits until the disk has it.
    ///
    /// # Errors
    /// The disk does not take it; what was written is removed.
    pub fn write(self: &Arc<Self>, body: &Bytes) -> io::Result<Spooled> {
        let name = Ulid::new().to_string();
        self.coming().insert(name.clone());
        let path = self.dir.join(&name);
        let mut spooled = Spooled { spool: self.clone(), name, bytes: body.len(), stays: true };
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        spooled.stays = false;
        file.write_all(body)?;
        file.sync_all()?;
        File::open(&self.dir)?.sync_all()?;
        Ok(spooled)
    }

    /// Tells the log that a body cannot be written, unless it was told so lately: as many may come
    /// as senders like.
    pub fn tell(&self, error: &io::Error) {
        self.troubled.say(|_| tracing::error!(%error, "cannot write a body"));
    }

    /// The body in the file of that name.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn read(&self, name: &str) -> io::Result<Bytes> {
        fs::read(self.dir.join(name)).map(Bytes::from)
    }

    /// Removes a file that no event owns.
    pub fn remove(&self, name: &str) {
        match fs::remove_file(self.dir.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(file = name, %error, "cannot remove a body that no event owns");
            }
            _ => {}
        }
    }

    /// Removes all files that no event owns or is about to own, and returns how many. `is_owned`
    /// asks the ledger as it is at that moment.
    ///
    /// # Errors
    /// The folder cannot be read, or the ledger not asked.
    pub fn sweep<E: From<io::Error>>(
        &self,
        mut is_owned: impl FnMut(&str) -> Result<bool, E>,
    ) -> Result<usize, E> {
        let mut removed = 0;
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            let Some(name) = name.to_str().filter(|name| Ulid::from_string(name).is_ok()) else {
                continue;
            };
            // In this order: a file that is not coming any more is owned already, or never will be.
            if !self.coming().contains(name) && !is_owned(name)? {
                self.remove(name);
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn coming(&self) -> MutexGuard<'_, HashSet<String>> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spooled {
    /// The file's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of the body.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Leaves the file there: an event owns it now, or may turn out to.
    pub fn leave(&mut self) {
        self.stays = true;
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        if !self.stays {
            self.spool.remove(&self.name);
        }
        self.spool.coming().remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool() -> (tempfile::TempDir, Arc<Spool>) {
        let folder = tempfile::tempdir().unwrap();
        let spool = Arc::new(Spool::new(folder.path().to_owned()));
        (folder, spool)
    }

    fn sweep(spool: &Spool, owned: &[&str]) -> usize {
        spool.sweep(|name| io::Result::Ok(owned.contains(&name))).unwrap()
    }

    #[test]
    fn a_file_that_no_event_owns_is_removed() {
        let (folder, spool) = spool();
        let count = || fs::read_dir(folder.path()).unwrap().count();
        drop(spool.write(&Bytes::from_static(b"x")).unwrap());
        assert_eq!(count(), 0);
        let mut left = spool.write(&Bytes::new()).unwrap();
        left.leave();
        drop(left);
        assert_eq!(count(), 1);
    }

    #[test]
    fn only_what_nobody_knows_is_swept() {
        let (folder, spool) = spool();
        fs::write(folder.path().join("README"), "not ours").unwrap();
        let coming = spool.write(&Bytes::from_static(b"coming")).unwrap();
        let [owned, orphan] = [b"owned", b"orpha"].map(|body| {
            let mut file = spool.write(&Bytes::from_static(body)).unwrap();
            file.leave();
            file.name().to_owned()
        });
        assert_eq!(sweep(&spool, &[&owned]), 1);
        assert_eq!(spool.read(coming.name()).unwrap(), "coming");
        assert_eq!(spool.read(&owned).unwrap(), "owned");
        assert!(spool.read(&orphan).is_err());
        assert!(folder.path().join("README").exists());
        drop(coming);
        assert_eq!(sweep(&spool, &[&owned]), 0);
    }

    #[test]
    fn a_body_that_cannot_be_written_leaves_nothing() {
        let (folder, spool) = spool();
        fs::remove_dir(folder.path()).unwrap();
        assert!(spool.write(&Bytes::from_static(b"x")).is_err());
        assert!(spool.coming().is_empty());
    }
}
