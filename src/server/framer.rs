//! Follows the bytes of an HTTP/1 connection from message to message.
//!
//! hyper drops a second Content-Length, or one beside Transfer-Encoding, without a
//! trace: whoever wants to refuse them must look at the bytes. Knowing where each
//! message ends also tells a slow head from an idle connection, and a request that
//! is still being sent from one that is complete.

/// The first line of an HTTP/2 connection (RFC 9113 §3.4).
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n";

/// How much of what was read may be handed on.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// All of it.
    Pass,
    /// So many bytes: then comes a header that must be refused.
    Refuse(usize),
    /// So many bytes: then the head is longer than it may be.
    TooLong(usize),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum At {
    /// Between messages.
    Rest,
    Head,
    /// In a body of known length, so many bytes before its end.
    Body(u64),
    ChunkSize,
    /// In a chunk, so many bytes before the end of its CRLF.
    Chunk(u64),
    Trailers,
    /// HTTP/2 has a framing of its own.
    Http2,
    /// Something that hyper refuses: there is nothing to follow any more.
    Nonsense,
}

/// What the head being read says about the body.
#[derive(Debug, Default, Clone, Copy)]
enum Length {
    #[default]
    Nothing,
    /// None: not a number, hyper will say so.
    Counted(Option<u64>),
    Chunked,
}

#[derive(Debug)]
pub(super) struct Framer {
    at: At,
    length: Length,
    /// The line that is half read.
    partial: Vec<u8>,
    /// Bytes of the head, chunk size or trailers so far.
    spent: usize,
    limit: usize,
    received: u64,
}

impl Framer {
    /// `limit`: bytes of a request line with its headers.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            at: At::Rest,
            length: Length::Nothing,
            partial: Vec::new(),
            spent: 0,
            limit,
            received: 0,
        }
    }

    /// Messages received to their last byte.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    pub(super) fn in_head(&self) -> bool {
        self.at == At::Head
    }

    /// Whether the peer owes us nothing: only then can a connection be closed without
    /// its answer being lost to a reset.
    pub(super) fn at_rest(&self) -> bool {
        matches!(self.at, At::Rest | At::Http2)
    }

    /// Follows bytes just read.
    pub(super) fn follow(&mut self, bytes: &[u8]) -> Verdict {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            let used = match self.at {
                At::Http2 | At::Nonsense => return Verdict::Pass,
                At::Rest if matches!(first, b'\r' | b'\n') => 1,
                At::Rest => {
                    self.enter(At::Head);
                    0
                }
                At::Body(left) => {
                    let used = within(left, rest);
                    self.body(left - used as u64);
                    used
                }
                At::Chunk(left) => {
                    let used = within(left, rest);
                    self.chunk(left - used as u64);
                    used
                }
                At::Head | At::ChunkSize | At::Trailers => {
                    let line = rest.split_inclusive(|byte| *byte == b'\n').next();
                    let line = line.unwrap_or_default();
                    let passed = bytes.len() - rest.len();
                    if line.len() > self.limit - self.spent {
                        let verdict = Verdict::TooLong(passed + self.limit - self.spent);
                        self.at = At::Nonsense;
                        return verdict;
                    }
                    self.spent += line.len();
                    if !self.line(line) {
                        self.at = At::Nonsense;
                        return Verdict::Refuse(passed);
                    }
                    line.len()
                }
            };
            rest = rest.get(used..).unwrap_or_default();
        }
        Verdict::Pass
    }

    fn enter(&mut self, at: At) {
        self.at = at;
        self.spent = 0;
    }

    fn complete(&mut self) {
        self.received += 1;
        self.length = Length::Nothing;
        self.at = At::Rest;
    }

    fn body(&mut self, left: u64) {
        match left {
            0 => self.complete(),
            _ => self.at = At::Body(left),
        }
    }

    fn chunk(&mut self, left: u64) {
        match left {
            0 => self.enter(At::ChunkSize),
            _ => self.at = At::Chunk(left),
        }
    }

    /// Takes a line, or the piece of one that there is. False: it must be refused.
    fn line(&mut self, piece: &[u8]) -> bool {
        if !piece.ends_with(b"\n") {
            self.partial.extend_from_slice(piece);
            return true;
        }
        if self.partial.is_empty() {
            return self.whole_line(piece);
        }
        let mut line = std::mem::take(&mut self.partial);
        line.extend_from_slice(piece);
        self.whole_line(&line)
    }

    fn whole_line(&mut self, line: &[u8]) -> bool {
        let blank = matches!(line, b"\n" | b"\r\n");
        match self.at {
            At::Head if blank => self.end_of_head(),
            At::Head if line == HTTP2 => self.at = At::Http2,
            At::Head => return self.header(line),
            At::ChunkSize => self.chunk_size(line),
            At::Trailers if blank => self.complete(),
            _ => {}
        }
        true
    }

    fn header(&mut self, line: &[u8]) -> bool {
        let length = if let Some(value) = value_of(b"content-length", line) {
            Length::Counted(number(value, 10))
        } else if value_of(b"transfer-encoding", line).is_some() {
            Length::Chunked
        } else {
            return true;
        };
        let first = matches!(self.length, Length::Nothing);
        self.length = length;
        first
    }

    fn end_of_head(&mut self) {
        match self.length {
            Length::Nothing => self.complete(),
            Length::Counted(Some(length)) => self.body(length),
            Length::Counted(None) => self.at = At::Nonsense,
            Length::Chunked => self.enter(At::ChunkSize),
        }
    }

    fn chunk_size(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\r\n").unwrap_or_default();
        let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
        match number(size.trim_ascii_end(), 16) {
            Some(0) => self.enter(At::Trailers),
            Some(size) => self.chunk(size.saturating_add(2)),
            None => self.at = At::Nonsense,
        }
    }
}

/// How many of these bytes are among the `left` next ones.
fn within(left: u64, bytes: &[u8]) -> usize {
    usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()))
}

/// The value, if the line is the header of that lower-case name.
fn value_of<'a>(name: &[u8], line: &'a [u8]) -> Option<&'a [u8]> {
    let (found, rest) = line.split_at_checked(name.len())?;
    if !found.eq_ignore_ascii_case(name) {
        return None;
    }
    Some(rest.strip_prefix(b":")?.trim_ascii())
}

fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok()?;
    // The standard parser takes a sign, HTTP does not.
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
#[path = "tests/framer.rs"]
mod tests;
