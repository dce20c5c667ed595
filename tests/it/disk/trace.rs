//! What a program did to its files, as the library recorded it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One call.
#[derive(Debug, Clone)]
pub enum Call {
    Opened { fd: i32, path: PathBuf, created: bool, truncated: bool },
    Closed { fd: i32 },
    Wrote { fd: i32, at: usize, bytes: Arc<[u8]> },
    Cut { fd: i32, to: usize },
    MadeFolder { path: PathBuf },
    Removed { path: PathBuf },
    SyncBegins { fd: i32 },
    SyncEnds { fd: i32 },
    SyncFails { fd: i32 },
}

/// The calls, in their order, each with where the record stood after it.
pub struct Trace {
    pub calls: Vec<(usize, Call)>,
}

const HEAD: usize = 17;

impl Trace {
    /// Reads a record; paths are given below `root`.
    pub fn read(record: &[u8], root: &Path) -> Self {
        let (mut calls, mut at) = (Vec::new(), 0);
        while at < record.len() {
            let head = &record[at..at + HEAD];
            let fd = i32::from_le_bytes(head[1..5].try_into().unwrap());
            let place = i64::from_le_bytes(head[5..13].try_into().unwrap());
            let length = u32::from_le_bytes(head[13..17].try_into().unwrap()) as usize;
            let bytes = &record[at + HEAD..at + HEAD + length];
            at += HEAD + length;
            let to = usize::try_from(place).unwrap();
            let path = || {
                let path = Path::new(str::from_utf8(bytes).unwrap());
                path.strip_prefix(root).unwrap().to_owned()
            };
            let call = match head[0] {
                b'o' => {
                    Call::Opened { fd, path: path(), created: to & 1 > 0, truncated: to & 2 > 0 }
                }
                b'c' => Call::Closed { fd },
                b'w' => Call::Wrote { fd, at: to, bytes: bytes.into() },
                b't' => Call::Cut { fd, to },
                b'm' => Call::MadeFolder { path: path() },
                b'u' => Call::Removed { path: path() },
                b's' => Call::SyncBegins { fd },
                b'S' => Call::SyncEnds { fd },
                b'F' => Call::SyncFails { fd },
                other => panic!("a record of the kind {other}"),
            };
            calls.push((at, call));
        }
        Self { calls }
    }
}
