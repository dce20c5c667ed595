//! One connection, from its handshake to its end.

use std::error::Error;
use std::future::{Future, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use futures_util::future::Either;
use futures_util::{FutureExt as _, TryFutureExt as _};
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use hyper::body::{Body, Incoming};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{sleep_until, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::activity::{Activity, Running};
use super::wire::Wire;
use super::{HTTP2_STREAMS, Limits, framing};

/// hyper panics on a smaller buffer.
const SMALLEST_HEADER_BYTES: usize = 8 * 1024;

/// What all connections of a listener share.
pub(super) struct Host {
    limits: Limits,
    tls: Option<TlsAcceptor>,
    http: auto::Builder<TokioExecutor>,
}

impl Host {
    pub(super) fn new(mut limits: Limits, tls: Option<TlsAcceptor>) -> Self {
        limits.header_bytes = limits.header_bytes.max(SMALLEST_HEADER_BYTES);
        let mut http = auto::Builder::new(TokioExecutor::new());
        // hyper's own timeout also runs between requests, and not in the HTTP/2 preface.
        http.http1().header_read_timeout(None).max_buf_size(limits.header_bytes);
        http.http2()
            .max_concurrent_streams(HTTP2_STREAMS)
            .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX));
        Self { limits, tls, http }
    }

    /// Serves a connection until it ends. `drain`: finish the requests under way, then end.
    pub(super) async fn serve<S, B>(
        &self,
        stream: TcpStream,
        service: S,
        drain: impl Future<Output = ()>,
    ) where
        S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Default + Send + 'static,
    {
        // Answers are written whole: waiting for more to send would only delay them.
        if let Err(cause) = stream.set_nodelay(true) {
            tracing::debug!(%cause, "connection lost");
            return;
        }
        let activity = Arc::new(Activity::new());
        let mut drain = pin!(drain);
        let Some(tls) = &self.tls else {
            return self.speak(stream, service, activity, drain).await;
        };
        let deadline = activity.opened() + self.limits.header_timeout;
        tokio::select! {
            () = &mut drain => {}
            handshake = timeout_at(deadline, tls.accept(stream)) => match handshake {
                Ok(Ok(stream)) => self.speak(stream, service, activity, drain).await,
                Ok(Err(cause)) => tracing::debug!(%cause, "TLS handshake failed"),
                Err(_) => tracing::debug!("TLS handshake too slow"),
            }
        }
    }

    async fn speak<I, S, B>(
        &self,
        stream: I,
        service: S,
        activity: Arc<Activity>,
        mut drain: Pin<&mut impl Future<Output = ()>>,
    ) where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Default + Send + 'static,
    {
        let wire = Wire::new(stream, self.limits.header_bytes, Arc::clone(&activity));
        let requests = Arc::clone(&activity);
        let guarded = service_fn(move |request| answer(&service, request, requests.start()));
        let mut http = pin!(self.http.serve_connection(TokioIo::new(wire), guarded));
        let mut timer = pin!(sleep_until(activity.opened() + self.limits.header_timeout));
        let mut draining = false;
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(end) = http.as_mut().poll(cx) {
                    return Poll::Ready(end);
                }
                if draining || drain.as_mut().poll(cx).is_pending() {
                    break;
                }
                draining = true;
                http.as_mut().graceful_shutdown();
            }
            if activity.poll_overdue(timer.as_mut(), &self.limits, cx).is_pending() {
                return Poll::Pending;
            }
            // One last chance to say goodbye (GOAWAY, close_notify).
            http.as_mut().graceful_shutdown();
            let _ = http.as_mut().poll(cx);
            Poll::Ready(Err("too slow, or idle for too long".into()))
        })
        .await
        .unwrap_or_else(|cause| tracing::debug!(cause, "connection closed"));
    }
}

/// The service's answer, or the refusal of a request that it must not see.
fn answer<S, B>(
    service: &S,
    request: Request<Incoming>,
    running: Running,
) -> impl Future<Output = Result<Response<B>, S::Error>> + Send + 'static + use<S, B>
where
    S: Service<Request<Incoming>, Response = Response<B>> + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Default + Send + 'static,
{
    let http1 = request.version() < Version::HTTP_2;
    let (work, refused) = match framing::check(&request) {
        Ok(()) => (Either::Left(service.call(request)), false),
        Err(status) => (Either::Right(ready(refusal(status)).map(Ok)), true),
    };
    // Not an async block, which would keep room for the work twice; hyper moves all of it.
    work.map_ok(move |mut response| {
        // The rest of the body stands between us and the next request.
        if http1 && (refused || !running.received()) {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        response
    })
}

fn refusal<B: Default>(status: StatusCode) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = status;
    response
}
