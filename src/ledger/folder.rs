//! The folder that holds a ledger: its owner's alone, and of one process at a time.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::OpenError;

/// What is in it.
pub struct Folder {
    /// The tables.
    pub file: PathBuf,
    /// The folder of large bodies.
    pub bodies: PathBuf,
    /// While it is open, nobody else may have the folder.
    pub lock: File,
}

/// Makes what is missing of it, and takes it.
///
/// # Errors
/// It cannot be made, or another process has it.
pub fn make(data: &Path) -> Result<Folder, OpenError> {
    let failed = |error| OpenError::Folder { path: data.to_owned(), error };
    let (file, bodies) = (data.join("ledger.db"), data.join("bodies"));
    make_private(data).and_then(|()| make_private(&bodies)).map_err(failed)?;
    let lock = File::create(data.join("lock")).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Err(OpenError::InUse(data.to_owned())),
        Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
    }
    make_file(&file).map_err(failed)?;
    Ok(Folder { file, bodies, lock })
}

/// Makes a folder that only its owner may enter, and those above it, and waits until the disk has
/// them.
fn make_private(path: &Path) -> io::Result<()> {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    let above = above.unwrap_or(Path::new("."));
    let make = || fs::DirBuilder::new().mode(0o700).create(path);
    let made = match make() {
        Err(error) if error.kind() == io::ErrorKind::NotFound && above != path => {
            make_private(above).and_then(|()| make())
        }
        made => made,
    };
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.and_then(|()| File::open(above)?.sync_all()),
    }
}

/// Makes the file if there is none; SQLite's other files get the same mode.
fn make_file(path: &Path) -> io::Result<File> {
    File::options().append(true).create(true).mode(0o600).open(path)
}
