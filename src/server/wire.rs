//! The byte stream under hyper: watches what is read, refuses what hyper would let
//! pass, and lingers when it is closed in the middle of a request.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::activity::Activity;
use super::framer::{Framer, Verdict};
use super::{LINGER_BYTES, LINGER_TIME};

/// Given to hyper instead of the header that is refused. No head may hold a NUL, so it
/// answers 400 and closes, after the requests that came before.
const REFUSAL: &[u8] = b"\0\r\n\r\n";

/// Bytes discarded in one read while lingering.
const DISCARD: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    framer: Framer,
    activity: Arc<Activity>,
    /// Once set, hyper is given the rest of this, and then the end of the stream.
    last_words: Option<&'static [u8]>,
    linger: Option<Linger>,
}

#[derive(Debug)]
struct Linger {
    until: Pin<Box<Sleep>>,
    bytes: usize,
}

impl<S> Wire<S> {
    /// `header_bytes`: how long a head may be.
    pub(super) fn new(stream: S, header_bytes: usize, activity: Arc<Activity>) -> Self {
        Self { stream, framer: Framer::new(header_bytes), activity, last_words: None, linger: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if wire.last_words.is_none() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut wire.stream).poll_read(cx, buf))?;
            let read = buf.filled().get(before..).unwrap_or_default();
            let (passed, last_words) = match wire.framer.follow(read) {
                Verdict::Pass => (read.len(), None),
                Verdict::Refuse(passed) => (passed, Some(REFUSAL)),
                // hyper's buffer is full at the same byte: it answers 431.
                Verdict::TooLong(passed) => (passed, Some(&[][..])),
            };
            wire.activity.read(wire.framer.received(), wire.framer.in_head());
            buf.set_filled(before + passed);
            wire.last_words = last_words;
            if passed > 0 {
                return Poll::Ready(Ok(()));
            }
        }
        if let Some(words) = wire.last_words {
            let (now, later) = words.split_at(words.len().min(buf.remaining()));
            buf.put_slice(now);
            wire.last_words = Some(later);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.activity.wrote();
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices))?;
        self.activity.wrote();
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Says that no more will come; then, if a request is still being sent, reads on for
    /// a while, since closing would reset the connection and take the answer with it.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let linger = match &mut wire.linger {
            Some(linger) => linger,
            none => {
                ready!(Pin::new(&mut wire.stream).poll_shutdown(cx))?;
                if wire.framer.at_rest() {
                    return Poll::Ready(Ok(()));
                }
                none.insert(Linger {
                    until: Box::pin(tokio::time::sleep(LINGER_TIME)),
                    bytes: LINGER_BYTES,
                })
            }
        };
        linger.poll(cx, &mut wire.stream)
    }
}

impl Linger {
    /// Ready when the peer has closed, or has had enough time or bytes.
    fn poll<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<io::Result<()>> {
        let mut scratch = [0; DISCARD];
        while self.bytes > 0 && self.until.as_mut().poll(cx).is_pending() {
            let mut discarded = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut discarded))?;
            match discarded.filled().len() {
                0 => break,
                read => self.bytes = self.bytes.saturating_sub(read),
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
#[path = "tests/wire.rs"]
mod tests;
