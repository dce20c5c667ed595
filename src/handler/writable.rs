//! Who may change the code that is run.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What is said of such a file.
pub const WRITABLE: &str =
    "any user of this machine can write to it, and what they write is run: chmod o-w";

/// Write permission of users that are neither the owner nor of the group.
const OTHERS_WRITE: u32 = 0o002;

/// The folder of the handlers, and the modules in it, as far as any user of this machine may write
/// to them: what they put there would be run.
pub fn writable_by_others(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut modules: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "wasm" || end == "wat"))
        .collect();
    modules.sort();
    let all = std::iter::once(folder.to_owned()).chain(modules);
    all.filter(|path| is_open(path)).collect()
}

fn is_open(path: &Path) -> bool {
    let mode = fs::metadata(path).map(|metadata| metadata.permissions().mode());
    mode.is_ok_and(|mode| mode & OTHERS_WRITE != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_may_write_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let allow = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        for (name, mode) in [
            ("a.wasm", 0o644),
            ("b.wasm", 0o666),
            ("c.wat", 0o602),
            ("d.txt", 0o666),
            ("e.wat", 0o664),
        ] {
            fs::write(path(name), "").unwrap();
            allow(&path(name), mode);
        }
        assert_eq!(writable_by_others(folder.path()), [path("b.wasm"), path("c.wat")]);
        allow(folder.path(), 0o757);
        assert_eq!(writable_by_others(folder.path())[0], folder.path());
        assert!(writable_by_others(&path("nowhere")).is_empty());
    }
}
