//! Bodies within limits.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};
use wasmtime_wasi_http::{Error, WasiBody};

/// Bytes of a request's body.
pub const REQUEST_BYTES: u64 = 32 << 20;

/// Bytes of a response's body.
pub const RESPONSE_BYTES: u64 = 32 << 20;

/// A request's body of at most [`REQUEST_BYTES`].
pub fn request(body: WasiBody) -> WasiBody {
    let over = || Error::HttpRequestBodySize(Some(REQUEST_BYTES));
    Bounded { inner: Some(body), left: REQUEST_BYTES, over }.boxed_unsync()
}

/// A response's body of at most [`RESPONSE_BYTES`], which ends with an error at `until`, or when
/// nothing comes for `between`.
pub fn response(body: Incoming, until: Instant, between: Duration) -> WasiBody {
    let over = || Error::HttpResponseBodySize(Some(RESPONSE_BYTES));
    let inner = body.map_err(|_broken| Error::HttpResponseIncomplete);
    let timed = Timed { inner, until, between, next: Box::pin(sleep_until(until)) };
    Bounded { inner: Some(timed.waiting()), left: RESPONSE_BYTES, over }.boxed_unsync()
}

/// A body that ends with an error when it has had too many bytes, and is then let go.
struct Bounded<B> {
    inner: Option<B>,
    left: u64,
    over: fn() -> Error,
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> Body for Bounded<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let frame = match ready!(Pin::new(inner).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            last => {
                self.inner = None;
                return Poll::Ready(last);
            }
        };
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Poll::Ready(Some(Ok(frame)))
            }
            None => {
                self.inner = None;
                Poll::Ready(Some(Err((self.over)())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

/// A body that ends with an error when it takes too long.
struct Timed<B> {
    inner: B,
    until: Instant,
    between: Duration,
    next: Pin<Box<Sleep>>,
}

impl<B> Timed<B> {
    /// With its time for the next frame set.
    fn waiting(mut self) -> Self {
        self.wait();
        self
    }

    fn wait(&mut self) {
        let next = (Instant::now() + self.between).min(self.until);
        self.next.as_mut().reset(next);
    }
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> Body for Timed<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let late = || Poll::Ready(Some(Err(Error::HttpResponseTimeout)));
        if Instant::now() >= self.until {
            return late();
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) {
            self.wait();
            return Poll::Ready(frame);
        }
        ready!(self.next.as_mut().poll(context));
        late()
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::{Full, StreamBody};

    use super::*;

    fn bounded(left: u64) -> Bounded<impl Body<Data = Bytes, Error = Error> + Unpin> {
        let body = Full::new(Bytes::from_static(b"12345"));
        let inner = body.map_err(|never: Infallible| match never {});
        Bounded { inner: Some(inner), left, over: || Error::HttpRequestBodySize(None) }
    }

    #[tokio::test]
    async fn a_body_may_be_as_large_as_its_limit() {
        assert_eq!(bounded(5).collect().await.unwrap().to_bytes(), "12345");
        let over = bounded(4).collect().await.unwrap_err();
        assert!(matches!(over, Error::HttpRequestBodySize(None)), "{over}");
    }

    /// Bytes that come in drops, one a second, and when it ends.
    async fn drip(until: Duration, between: Duration) -> (usize, Duration) {
        let began = Instant::now();
        let drops = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, Error>(Frame::data(Bytes::from_static(b"."))), ()))
        });
        let (inner, until) = (StreamBody::new(Box::pin(drops)), began + until);
        let mut body =
            Timed { inner, until, between, next: Box::pin(sleep_until(until)) }.waiting();
        let mut frames = 0;
        loop {
            match body.frame().await.unwrap() {
                Ok(_) => frames += 1,
                Err(Error::HttpResponseTimeout) => return (frames, began.elapsed()),
                Err(other) => panic!("{other}"),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_in_drops_ends_at_its_time() {
        let ms = Duration::from_millis;
        assert_eq!(drip(ms(3_500), ms(60_000)).await, (3, ms(3_500)));
        assert_eq!(drip(ms(60_000), ms(900)).await, (0, ms(900)));
        assert_eq!(drip(ms(60_000), Duration::ZERO).await, (0, Duration::ZERO));
    }
}
