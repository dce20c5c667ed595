//! Reads a request body into memory: capped, paced, and counted as it arrives.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame};
use tokio::time::{Instant, Sleep, sleep_until};

use super::budget::{Budget, Reservation};

/// How long a body may be slower than its [`Rate`].
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The most that is set aside on the word of a Content-Length alone.
const FIRST_ROOM: usize = 64 * 1024;

/// The least speed of a body.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// 0: anything at all within [`PATIENCE`].
    pub bytes_per_second: u64,
}

/// A whole body, and its share of the [`Budget`]. The two may part: the share can be
/// kept for as long as a copy of the bytes is about.
#[derive(Debug)]
pub struct Held {
    /// The body.
    pub bytes: Bytes,
    /// Gives the memory back to the budget on drop.
    pub reservation: Reservation,
}

/// Why a body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum BodyError {
    /// Over the limit, or promised to be.
    #[error("body too large")]
    TooLarge,
    /// Slower than the [`Rate`] for [`PATIENCE`].
    #[error("body too slow")]
    TooSlow,
    /// No memory left in the [`Budget`].
    #[error("no memory for the body")]
    OverBudget,
    /// The client is gone, or what it sent is no body.
    #[error("body broken off")]
    Broken,
}

/// Reads a body of at most `limit` bytes. `content_length` is what the client promises.
///
/// # Errors
/// See [`BodyError`]. A promise of more than `limit` is refused before anything is read.
pub async fn read<B: Body<Data = Bytes>>(
    body: B,
    content_length: Option<u64>,
    limit: usize,
    rate: Rate,
    budget: &Budget,
) -> Result<Held, BodyError> {
    let promised = match content_length.map(usize::try_from) {
        None => 0,
        Some(Ok(promised)) if promised <= limit => promised,
        Some(_) => return Err(BodyError::TooLarge),
    };
    let mut body = pin!(body);
    let mut timer = pin!(None);
    let mut pace = Pace::new(rate);
    let mut pile = Pile::Nothing;
    let mut reservation = budget.reserve();
    while !body.is_end_stream() {
        let next = poll_fn(|cx| match body.as_mut().poll_frame(cx) {
            Poll::Pending => pace.poll_too_slow(timer.as_mut(), cx).map(Err),
            Poll::Ready(frame) => Poll::Ready(Ok(frame)),
        });
        let Some(frame) = next.await? else { break };
        let frame = frame.map(Frame::into_data);
        // Trailers are nobody's business here.
        let Ok(data) = frame.map_err(|_| BodyError::Broken)? else {
            continue;
        };
        if data.len() > limit - pile.len() {
            return Err(BodyError::TooLarge);
        }
        if !reservation.take(data.len()) {
            return Err(BodyError::OverBudget);
        }
        pace.came(data.len());
        pile = pile.with(data, promised);
    }
    let bytes = pile.into_bytes();
    Ok(Held { bytes, reservation })
}

/// What has arrived. A body of one frame, the ordinary case, is never copied.
enum Pile {
    Nothing,
    One(Bytes),
    Many(BytesMut),
}

impl Pile {
    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::One(bytes) => bytes.len(),
            Self::Many(bytes) => bytes.len(),
        }
    }

    fn with(self, data: Bytes, promised: usize) -> Self {
        let mut many = match self {
            Self::Nothing => return Self::One(data),
            Self::One(first) => {
                let room = promised.min(FIRST_ROOM).max(first.len() + data.len());
                let mut many = BytesMut::with_capacity(room);
                many.extend_from_slice(&first);
                many
            }
            Self::Many(many) => many,
        };
        many.extend_from_slice(&data);
        Self::Many(many)
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::Nothing => Bytes::new(),
            Self::One(bytes) => bytes,
            Self::Many(bytes) => bytes.freeze(),
        }
    }
}

/// Each stretch of [`PATIENCE`] must bring its quota; one that has starts anew at once,
/// so that silence counts from the last bytes. Nothing is timed while bytes are at hand.
struct Pace {
    quota: u64,
    came: u64,
    /// Whether the timer stands at the end of the present stretch.
    timed: bool,
}

impl Pace {
    fn new(rate: Rate) -> Self {
        Self {
            quota: rate.bytes_per_second.saturating_mul(PATIENCE.as_secs()),
            came: 0,
            timed: false,
        }
    }

    fn came(&mut self, bytes: usize) {
        self.came = self.came.saturating_add(bytes as u64);
        if self.came >= self.quota {
            self.came = 0;
            self.timed = false;
        }
    }

    fn poll_too_slow(
        &mut self,
        mut timer: Pin<&mut Option<Sleep>>,
        cx: &mut Context<'_>,
    ) -> Poll<BodyError> {
        if !self.timed {
            self.timed = true;
            timer.set(Some(sleep_until(Instant::now() + PATIENCE)));
        }
        match timer.as_pin_mut() {
            Some(timer) => timer.poll(cx).map(|()| BodyError::TooSlow),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
#[path = "tests/body.rs"]
mod tests;
