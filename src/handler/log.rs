//! A handler's log lines: kept with its attempt up to a limit, and told to the operator.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Serialize;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::text::{head, printable};

/// A single line is cut to this many bytes.
const LINE_BYTES: usize = 8 * 1024;

/// Lines that are kept of an attempt: without a limit, empty ones would take room unseen.
const LINES: usize = 1_000;

/// Bytes that a guest may write to stdout or stderr before it is asked to write again.
const WRITE_BYTES: usize = 64 * 1024;

/// How important a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For whoever debugs the handler.
    Debug,
    /// What happened.
    Info,
    /// Something to look at.
    Warn,
    /// Something is broken.
    Error,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// How important it is.
    pub level: Level,
    /// What it says.
    pub message: String,
}

/// The lines of one attempt. Clones write to the same.
#[derive(Debug, Clone)]
pub struct Log(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    about: About,
    lines: Vec<Line>,
    bytes_left: usize,
    open: [Vec<u8>; 2],
}

/// Whose lines they are.
#[derive(Debug, Clone)]
pub struct About {
    /// The event's id.
    pub event: String,
    /// The handler's name.
    pub handler: Arc<str>,
    /// The route's name.
    pub route: Arc<str>,
}

impl Log {
    /// A log that keeps at most `bytes` bytes.
    pub fn new(about: About, bytes: usize) -> Self {
        let open = [Vec::new(), Vec::new()];
        Self(Arc::new(Mutex::new(Kept { about, lines: Vec::new(), bytes_left: bytes, open })))
    }

    /// Adds a line.
    pub fn line(&self, level: Level, message: &str) {
        self.lock().line(level, message);
    }

    /// The end of the attempt: the lines as a JSON array, `None` when there are none.
    pub fn finish(&self) -> Option<String> {
        let mut kept = self.lock();
        kept.close(Stream::Out);
        kept.close(Stream::Err);
        let lines = std::mem::take(&mut kept.lines);
        if lines.is_empty() { None } else { serde_json::to_string(&lines).ok() }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn line(&mut self, level: Level, message: &str) {
        if self.is_full() {
            return;
        }
        let whole = printable(head(message, LINE_BYTES));
        let kept = head(&whole, self.bytes_left);
        let is_cut = kept.len() < whole.len();
        self.bytes_left = if is_cut { 0 } else { self.bytes_left - kept.len() };
        self.keep(level, kept);
        if self.is_full() {
            self.keep(Level::Warn, "the log is full: later lines are dropped");
        }
    }

    fn is_full(&self) -> bool {
        self.bytes_left == 0 || self.lines.len() >= LINES
    }

    fn keep(&mut self, level: Level, message: &str) {
        self.tell(level, message);
        self.lines.push(Line { level, message: message.to_owned() });
    }

    fn tell(&self, level: Level, message: &str) {
        let About { event, handler, route } = &self.about;
        match level {
            Level::Debug => tracing::debug!(event, %handler, %route, "{message}"),
            Level::Info => tracing::info!(event, %handler, %route, "{message}"),
            Level::Warn => tracing::warn!(event, %handler, %route, "{message}"),
            Level::Error => tracing::error!(event, %handler, %route, "{message}"),
        }
    }

    /// Adds what was written to a stream; whole lines become lines.
    fn written(&mut self, stream: Stream, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let open = &mut self.open[stream as usize];
            let room = LINE_BYTES.saturating_sub(open.len());
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            open.extend_from_slice(text.get(..room).unwrap_or(text));
            if text.len() < piece.len() {
                self.close(stream);
            }
        }
    }

    fn close(&mut self, stream: Stream) {
        let bytes = std::mem::take(&mut self.open[stream as usize]);
        if !bytes.is_empty() {
            self.line(stream.level(), &String::from_utf8_lossy(&bytes));
        }
    }
}

/// What a guest prints.
#[derive(Debug, Clone, Copy)]
enum Stream {
    Out,
    Err,
}

impl Stream {
    fn level(self) -> Level {
        match self {
            Self::Out => Level::Info,
            Self::Err => Level::Warn,
        }
    }
}

/// A guest's stdout or stderr, written to its log. The engine's own adapter is not used: it
/// keeps empty writes in memory without a bound.
#[derive(Debug, Clone)]
pub struct Printed {
    log: Log,
    stream: Stream,
}

impl Printed {
    /// Stdout: lines of level info.
    pub fn stdout(log: Log) -> Self {
        Self { log, stream: Stream::Out }
    }

    /// Stderr: lines of level warn.
    pub fn stderr(log: Log) -> Self {
        Self { log, stream: Stream::Err }
    }
}

impl IsTerminal for Printed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printed {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Printed {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Printed {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > WRITE_BYTES {
            return Err(StreamError::trap("a write beyond what was permitted"));
        }
        self.log.lock().written(self.stream, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(bytes: usize) -> Log {
        let about = About { event: "evt_1".into(), handler: "h".into(), route: "r".into() };
        Log::new(about, bytes)
    }

    #[test]
    fn lines_are_kept_up_to_the_last_byte() {
        let log = log(5);
        log.line(Level::Info, "abc");
        log.line(Level::Error, "defgh");
        log.line(Level::Info, "lost");
        assert_eq!(
            log.finish().unwrap(),
            r#"[{"level":"info","message":"abc"},{"level":"error","message":"de"},{"level":"warn","message":"the log is full: later lines are dropped"}]"#
        );
    }

    #[test]
    fn what_is_escaped_counts_as_it_is_kept() {
        let log = log(10);
        log.line(Level::Info, "\u{1b}\u{1b}");
        assert!(
            log.finish().unwrap().starts_with(r#"[{"level":"info","message":"\\u{1b}\\u{1"},"#)
        );
    }

    #[test]
    fn empty_lines_are_not_endless() {
        let log = log(10);
        (0..2 * LINES).for_each(|_| log.line(Level::Info, ""));
        assert_eq!(log.finish().unwrap().matches(r#""level""#).count(), LINES + 1);
    }

    #[test]
    fn an_empty_log_is_nothing() {
        assert_eq!(log(10).finish(), None);
    }

    #[test]
    fn what_is_printed_becomes_lines() {
        let log = log(1_000);
        let (mut out, mut err) = (Printed::stdout(log.clone()), Printed::stderr(log.clone()));
        out.write(Bytes::from_static(b"one\ntw")).unwrap();
        err.write(Bytes::from_static(b"\x1b[31mred")).unwrap();
        out.write(Bytes::from_static(b"o\n\n")).unwrap();
        assert_eq!(
            log.finish().unwrap(),
            r#"[{"level":"info","message":"one"},{"level":"info","message":"two"},{"level":"warn","message":"\\u{1b}[31mred"}]"#
        );
    }

    #[test]
    fn an_endless_line_is_cut() {
        let log = log(1 << 20);
        let mut out = Printed::stdout(log.clone());
        for _ in 0..100 {
            out.write(Bytes::from(vec![b'x'; 1_000])).unwrap();
        }
        assert!(log.finish().unwrap().len() < LINE_BYTES + 100);
    }
}
