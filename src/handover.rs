//! Secrets that a provider hands over itself, once: when they are accepted, and where they are kept.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::secret_file;

/// The folder of these secrets, in `data`.
const FOLDER: &str = "handed-over";

/// Where these secrets are kept.
pub fn folder(data: &Path) -> PathBuf {
    data.join(FOLDER)
}

/// Where the secret of a source is kept.
pub fn path(data: &Path, source: &str) -> PathBuf {
    folder(data).join(source)
}

/// Why a secret is not accepted.
#[derive(Debug, Error)]
pub enum HandoverError {
    /// The operator has not opened a window, or it has closed.
    #[error("nobody waits for a secret: see `hookyard presets arm`")]
    NotArmed,
    /// A secret that is there is never replaced.
    #[error("there is a secret already")]
    Exists,
    /// The file cannot be written.
    #[error("the secret cannot be kept: {0}")]
    Io(#[from] io::Error),
}

/// The windows that are open, and the secrets that nobody has seen yet.
#[derive(Debug)]
pub struct Handovers {
    data: PathBuf,
    sources: Mutex<HashMap<String, State>>,
}

enum State {
    /// A secret is accepted until then.
    Armed(Instant),
    /// A secret has come, and was not shown yet.
    Unseen(String),
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Armed(_) => "Armed",
            Self::Unseen(_) => "Unseen(…)",
        })
    }
}

impl Handovers {
    /// Secrets are kept in that data folder.
    pub fn new(data: &Path) -> Self {
        Self { data: data.to_owned(), sources: Mutex::default() }
    }

    /// Accepts a secret of that source for so long.
    pub fn arm(&self, source: &str, window: Duration) {
        let until = Instant::now() + window;
        self.lock().insert(source.to_owned(), State::Armed(until));
    }

    /// Keeps a secret that a source hands over, and closes the window.
    ///
    /// # Errors
    /// It is not accepted, or cannot be kept.
    pub fn accept(&self, source: &str, secret: &str) -> Result<(), HandoverError> {
        let mut sources = self.lock();
        match sources.get(source) {
            Some(State::Armed(until)) if Instant::now() < *until => {}
            _ => return Err(HandoverError::NotArmed),
        }
        match secret_file::keep(&path(&self.data, source), secret) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(HandoverError::Exists);
            }
            kept => kept?,
        }
        sources.insert(source.to_owned(), State::Unseen(secret.to_owned()));
        Ok(())
    }

    /// The secret that was handed over, the first time that it is asked for.
    pub fn show(&self, source: &str) -> Option<String> {
        let mut sources = self.lock();
        match sources.remove(source)? {
            State::Unseen(secret) => Some(secret),
            armed @ State::Armed(_) => {
                sources.insert(source.to_owned(), armed);
                None
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, State>> {
        // Nothing that is done under the lock can panic halfway.
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn a_secret_is_accepted_once_while_somebody_waits_for_it() {
        let data = tempfile::tempdir().unwrap();
        let handovers = Handovers::new(data.path());
        assert!(matches!(handovers.accept("asana", "one"), Err(HandoverError::NotArmed)));
        handovers.arm("asana", LONG);
        assert!(matches!(handovers.accept("notion", "one"), Err(HandoverError::NotArmed)));
        handovers.accept("asana", "one").unwrap();
        assert!(matches!(handovers.accept("asana", "two"), Err(HandoverError::NotArmed)));
        let file = path(data.path(), "asana");
        assert_eq!(fs::read_to_string(&file).unwrap(), "one");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let folder = fs::metadata(file.parent().unwrap()).unwrap();
        assert_eq!(folder.permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_secret_that_is_there_is_never_replaced() {
        let data = tempfile::tempdir().unwrap();
        let handovers = Handovers::new(data.path());
        handovers.arm("asana", LONG);
        handovers.accept("asana", "one").unwrap();
        handovers.arm("asana", LONG);
        assert!(matches!(handovers.accept("asana", "two"), Err(HandoverError::Exists)));
        assert_eq!(fs::read_to_string(path(data.path(), "asana")).unwrap(), "one");
        assert_eq!(fs::read_dir(data.path().join(FOLDER)).unwrap().count(), 1);
    }

    #[test]
    fn a_window_closes() {
        let data = tempfile::tempdir().unwrap();
        let handovers = Handovers::new(data.path());
        handovers.arm("asana", Duration::ZERO);
        assert!(matches!(handovers.accept("asana", "one"), Err(HandoverError::NotArmed)));
    }

    #[test]
    fn a_secret_is_shown_once() {
        let data = tempfile::tempdir().unwrap();
        let handovers = Handovers::new(data.path());
        handovers.arm("asana", LONG);
        assert_eq!(handovers.show("asana"), None);
        handovers.accept("asana", "hunter2").unwrap();
        assert!(!format!("{handovers:?}").contains("hunter2"));
        assert_eq!(handovers.show("asana").as_deref(), Some("hunter2"));
        assert_eq!(handovers.show("asana"), None);
    }
}
