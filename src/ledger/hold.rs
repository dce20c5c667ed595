//! Whoever copies bodies' files holds their folder: meanwhile no event goes that owns one.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

/// Keeps all events, and so their files, until it is dropped or its process ends. Waits for a step
/// of removing that is under way.
///
/// # Errors
/// The folder cannot be opened or locked.
pub fn all(bodies: &Path) -> io::Result<File> {
    let folder = File::open(bodies)?;
    folder.lock_shared()?;
    Ok(folder)
}

/// Lets events go until it is dropped; `None`: somebody holds them.
///
/// # Errors
/// The folder cannot be opened or locked.
pub fn none(bodies: &Path) -> io::Result<Option<File>> {
    let folder = File::open(bodies)?;
    match folder.try_lock() {
        Ok(()) => Ok(Some(folder)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
