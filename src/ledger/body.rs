//! How an event's body is kept: compressed in its row, or in a file of its own when it is large,
//! since a large row would hold up every other event's commit.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use ulid::Ulid;

/// Bodies above this many bytes are kept in files.
pub const ROW_BYTES: usize = 256 * 1024;

/// Bodies below this many bytes are not worth compressing.
const COMPRESS_BYTES: usize = 256;

/// A body in the form in which its event's row keeps it.
#[derive(Debug)]
pub enum Packed {
    /// As it is.
    Raw(Bytes),
    /// LZ4 block with its length before it.
    Lz4(Vec<u8>),
    /// In a file, already on disk.
    Spooled(Spooled),
}

/// A body's file. It is removed again unless an event comes to own it.
#[derive(Debug)]
pub struct Spooled {
    path: PathBuf,
    name: String,
    owned: bool,
}

impl Spooled {
    /// The file belongs to a committed event now.
    pub fn keep(&mut self) {
        self.owned = true;
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        if !self.owned
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(file = %self.path.display(), %error, "cannot remove a body that no event owns");
        }
    }
}

impl Packed {
    /// Packs a body of at most [`ROW_BYTES`].
    pub fn in_row(body: &Bytes) -> Self {
        if body.len() < COMPRESS_BYTES {
            return Self::Raw(body.clone());
        }
        let packed = lz4_flex::compress_prepend_size(body);
        if packed.len() < body.len() { Self::Lz4(packed) } else { Self::Raw(body.clone()) }
    }

    /// Writes a large body to a file of the folder `dir` and waits until the disk has it.
    ///
    /// # Errors
    /// The disk does not take it; what was written is removed.
    pub fn in_file(dir: &Path, body: &Bytes) -> io::Result<Self> {
        let name = Ulid::new().to_string();
        let path = dir.join(&name);
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        let spooled = Spooled { path, name, owned: false };
        file.write_all(body)?;
        file.sync_all()?;
        File::open(dir)?.sync_all()?;
        Ok(Self::Spooled(spooled))
    }

    /// The number by which a row tells the forms apart, and what the row holds.
    pub fn row(&self) -> (i64, &[u8]) {
        match self {
            Self::Raw(bytes) => (0, bytes),
            Self::Lz4(bytes) => (1, bytes),
            Self::Spooled(file) => (2, file.name.as_bytes()),
        }
    }

    /// Bytes that it takes in the row.
    pub fn len(&self) -> usize {
        self.row().1.len()
    }
}

/// The body that a row keeps in the form of that number.
///
/// # Errors
/// The row is damaged, or the body's file cannot be read.
pub fn unpack(dir: &Path, form: i64, row: &[u8]) -> io::Result<Bytes> {
    let damaged = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    match form {
        0 => Ok(Bytes::copy_from_slice(row)),
        1 => lz4_flex::decompress_size_prepended(row)
            .map(Bytes::from)
            .map_err(|error| damaged(error.to_string())),
        2 => {
            let name = str::from_utf8(row).ok().and_then(|name| Ulid::from_string(name).ok());
            let name = name.ok_or_else(|| damaged("a body's file has no such name".to_owned()))?;
            fs::read(dir.join(name.to_string())).map(Bytes::from)
        }
        other => Err(damaged(format!("a body has the unknown form {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(dir: &Path, packed: &Packed) -> Bytes {
        let (form, row) = packed.row();
        unpack(dir, form, row).unwrap()
    }

    #[test]
    fn every_form_gives_the_body_back() {
        let dir = tempfile::tempdir().unwrap();
        let noise: Vec<u8> =
            (0..2_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for body in [Vec::new(), b"{}".to_vec(), b"x".repeat(5_000), noise] {
            let body = Bytes::from(body);
            assert_eq!(round_trip(dir.path(), &Packed::in_row(&body)), body);
            assert_eq!(round_trip(dir.path(), &Packed::in_file(dir.path(), &body).unwrap()), body);
        }
        assert!(Packed::in_row(&Bytes::from(b"x".repeat(5_000))).len() < 100);
    }

    #[test]
    fn a_file_that_no_event_owns_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let count = || fs::read_dir(dir.path()).unwrap().count();
        drop(Packed::in_file(dir.path(), &Bytes::from_static(b"x")).unwrap());
        assert_eq!(count(), 0);
        let Packed::Spooled(mut kept) = Packed::in_file(dir.path(), &Bytes::new()).unwrap() else {
            unreachable!()
        };
        kept.keep();
        drop(kept);
        assert_eq!(count(), 1);
    }

    #[test]
    fn a_damaged_row_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        for (form, row) in [(1, &b"\xff\xff\xff\xff"[..]), (2, b"../../etc/passwd"), (7, b"")] {
            assert!(unpack(dir.path(), form, row).is_err());
        }
    }
}
