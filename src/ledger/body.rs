//! How an event's body is kept: compressed in its row, or in a file of its own when it is large,
//! since a large row would hold up every other event's commit.

use std::cell::RefCell;
use std::io;

use bytes::Bytes;
use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};
use ulid::Ulid;

use super::spool::{Spool, Spooled};

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

impl Packed {
    /// Packs a body of at most [`ROW_BYTES`].
    pub fn in_row(body: &Bytes) -> Self {
        if body.len() < COMPRESS_BYTES {
            return Self::Raw(body.clone());
        }
        compressed(body).map_or_else(|| Self::Raw(body.clone()), Self::Lz4)
    }

    /// The number by which a row tells the forms apart, and what the row holds.
    pub fn row(&self) -> (i64, &[u8]) {
        match self {
            Self::Raw(bytes) => (0, bytes),
            Self::Lz4(bytes) => (1, bytes),
            Self::Spooled(file) => (2, file.name().as_bytes()),
        }
    }

    /// Bytes that it takes in the row.
    pub fn len(&self) -> usize {
        self.row().1.len()
    }
}

/// A body as an LZ4 block behind its length, if it is smaller so. What it takes to make one is kept by
/// the thread.
fn compressed(body: &[u8]) -> Option<Vec<u8>> {
    thread_local! {
        static SPARE: RefCell<(CompressTable, Vec<u8>)> = RefCell::default();
    }
    let length = u32::try_from(body.len()).ok()?.to_le_bytes();
    SPARE.with_borrow_mut(|(table, spare)| {
        spare.resize(get_maximum_output_size(body.len()).max(spare.len()), 0);
        let size = compress_into_with_table(body, spare, table).ok()?;
        let block = spare.get(..size)?;
        (length.len() + size < body.len()).then(|| [&length[..], block].concat())
    })
}

/// The body that a row keeps in the form of that number.
///
/// # Errors
/// The row is damaged, or the body's file cannot be read.
pub fn unpack(spool: &Spool, form: i64, row: &[u8]) -> io::Result<Bytes> {
    let damaged = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    match form {
        0 => Ok(Bytes::copy_from_slice(row)),
        1 => lz4_flex::decompress_size_prepended(row)
            .map(Bytes::from)
            .map_err(|error| damaged(error.to_string())),
        2 => {
            let name = str::from_utf8(row).ok().and_then(|name| Ulid::from_string(name).ok());
            let name = name.ok_or_else(|| damaged("a body's file has no such name".to_owned()))?;
            spool.read(&name.to_string())
        }
        other => Err(damaged(format!("a body has the unknown form {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn every_form_gives_the_body_back() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Arc::new(Spool::new(dir.path().to_owned()));
        let noise: Vec<u8> =
            (0..2_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for body in [Vec::new(), b"{}".to_vec(), b"x".repeat(5_000), noise] {
            let body = Bytes::from(body);
            let spooled = Packed::Spooled(spool.write(&body).unwrap());
            for packed in [Packed::in_row(&body), spooled] {
                let (form, row) = packed.row();
                assert_eq!(unpack(&spool, form, row).unwrap(), body);
            }
        }
        assert!(Packed::in_row(&Bytes::from(b"x".repeat(5_000))).len() < 100);
    }

    #[test]
    fn a_damaged_row_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path().to_owned());
        for (form, row) in [(1, &b"\xff\xff\xff\xff"[..]), (2, b"../../etc/passwd"), (7, b"")] {
            assert!(unpack(&spool, form, row).is_err());
        }
    }
}
