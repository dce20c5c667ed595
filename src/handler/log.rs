//! A handler's log lines: kept with its attempt up to a limit, and told to the operator.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::last_words::LastWords;
use crate::text::{head, printable};

/// A single line is cut to this many bytes.
const LINE_BYTES: usize = 8 * 1024;

/// Lines that are kept of an attempt: without a limit, empty ones would take room unseen.
const LINES: usize = 1_000;

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
    open: [Vec<u8>; 3],
    last_logged: Option<String>,
    last_words: LastWords,
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
        Self(Arc::new(Mutex::new(Kept {
            about,
            lines: Vec::new(),
            bytes_left: bytes,
            open: Default::default(),
            last_logged: None,
            last_words: LastWords::default(),
        })))
    }

    /// Adds a line.
    pub fn line(&self, level: Level, message: &str) {
        self.lock().line(level, message);
    }

    /// Adds what a guest printed; whole lines become lines.
    pub fn printed(&self, stream: Stream, bytes: &[u8]) {
        self.lock().printed(stream, bytes);
    }

    /// What its language's runtime said on stderr when it broke, even if the log was full.
    pub fn last_words(&self) -> Option<String> {
        let mut kept = self.lock();
        kept.close_all();
        kept.last_words.found().map(str::to_owned)
    }

    /// The last line of [`Stream::Log`] that is not empty, even if the log was full.
    pub fn last_logged(&self) -> Option<String> {
        let mut kept = self.lock();
        kept.close(Stream::Log);
        kept.last_logged.clone()
    }

    /// The end of the attempt: the lines as a JSON array, `None` when there are none.
    pub fn finish(&self) -> Option<String> {
        let mut kept = self.lock();
        kept.close_all();
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

    fn printed(&mut self, stream: Stream, bytes: &[u8]) {
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

    fn close_all(&mut self) {
        for stream in [Stream::Out, Stream::Err, Stream::Log] {
            self.close(stream);
        }
    }

    fn close(&mut self, stream: Stream) {
        let bytes = std::mem::take(&mut self.open[stream as usize]);
        if bytes.is_empty() {
            return;
        }
        let line = String::from_utf8_lossy(&bytes);
        // A tab is no harm in a line, and stacks have them.
        self.line(stream.level(), &line.replace('\t', "    "));
        if matches!(stream, Stream::Err | Stream::Log) {
            self.last_words.hear(&line);
        }
        if matches!(stream, Stream::Log) && !line.trim().is_empty() {
            self.last_logged = Some(line.into_owned());
        }
    }
}

/// What a guest prints.
#[derive(Debug, Clone, Copy)]
pub enum Stream {
    /// A component's stdout.
    Out,
    /// A component's stderr, on which its language tells of panics.
    Err,
    /// A command's stderr, which is its log.
    Log,
}

impl Stream {
    fn level(self) -> Level {
        match self {
            Self::Out | Self::Log => Level::Info,
            Self::Err => Level::Warn,
        }
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
        log.printed(Stream::Out, b"one\ntw");
        log.printed(Stream::Err, b"\x1b[31mred");
        log.printed(Stream::Log, b"three\n");
        log.printed(Stream::Out, b"o\n\n");
        assert_eq!(
            log.finish().unwrap(),
            r#"[{"level":"info","message":"one"},{"level":"info","message":"three"},{"level":"info","message":"two"},{"level":"warn","message":"\\u{1b}[31mred"}]"#
        );
    }

    #[test]
    fn last_words_are_known_even_of_a_full_log() {
        let log = log(3);
        assert_eq!(log.last_words(), None);
        log.printed(Stream::Out, b"panic: elsewhere\n\ngoroutine 1 [running]:\n");
        assert_eq!(log.last_words(), None);
        log.printed(Stream::Log, b"panic: oh\n\ngoroutine 1 [running]:");
        assert_eq!(log.last_words().as_deref(), Some("panic: oh"));
    }

    #[test]
    fn a_stack_with_tabs_can_be_read() {
        let log = log(100);
        log.printed(Stream::Log, b"\t/x/main.go:21");
        assert_eq!(log.finish().unwrap(), r#"[{"level":"info","message":"    /x/main.go:21"}]"#);
    }

    #[test]
    fn an_endless_line_is_cut() {
        let log = log(1 << 20);
        for _ in 0..100 {
            log.printed(Stream::Out, &[b'x'; 1_000]);
        }
        assert!(log.finish().unwrap().len() < LINE_BYTES + 100);
    }

    #[test]
    fn the_last_logged_line_is_known_even_of_a_full_log() {
        let log = log(3);
        assert_eq!(log.last_logged(), None);
        log.printed(Stream::Log, b"first\nsecond\n  \n\n");
        log.printed(Stream::Out, b"elsewhere\n");
        assert_eq!(log.last_logged().as_deref(), Some("second"));
        log.printed(Stream::Log, b"no end of line");
        assert_eq!(log.last_logged().as_deref(), Some("no end of line"));
    }
}
