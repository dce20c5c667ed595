//! The server over real sockets, spoken to in raw bytes.

mod bodies;
mod drain;
mod http2;
mod limits;
mod linger;
mod requests;
mod tls;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use prometheus::IntCounter;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::body::{self, BodyError, Rate};
use super::{Budget, Limits, TlsAcceptor, serve};

/// Nothing here takes so long: who waits for it waits in vain.
const LONG: Duration = Duration::from_secs(60);
/// A limit that a test waits for.
const SHORT: Duration = Duration::from_secs(1);

/// A body that the test server takes.
const BODY_LIMIT: usize = 1024 * 1024;

type Answer = Response<Full<Bytes>>;

pub(super) struct Server {
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    done: JoinHandle<usize>,
    pub refused: IntCounter,
}

impl Server {
    pub async fn start(limits: Limits) -> Self {
        Self::with(limits, None, LONG, by_path).await
    }

    pub async fn with<F>(
        limits: Limits,
        tls: Option<TlsAcceptor>,
        drain_timeout: Duration,
        answer: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let make = move |_| {
            let answer = answer.clone();
            service_fn(move |request| {
                let work = answer(request);
                async move { Ok::<_, Infallible>(work.await) }
            })
        };
        let shutdown = async { drop(stopped.await) };
        let refused = IntCounter::new("refused", "Connections over the limit.").unwrap();
        let counter = refused.clone();
        let done = tokio::spawn(async move {
            serve(listener, tls, limits, make, shutdown, drain_timeout, &counter).await
        });
        Self { address, stop, done, refused }
    }

    pub async fn connect(&self) -> Client<TcpStream> {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    pub fn stop(self) -> JoinHandle<usize> {
        self.stop.send(()).unwrap();
        self.done
    }
}

/// `/early` is answered before its body is read, any other path after.
pub(super) async fn by_path(request: Request<Incoming>) -> Answer {
    if request.uri().path() == "/early" {
        return status(StatusCode::UNAUTHORIZED);
    }
    let length = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .map(|length| length.to_str().unwrap().parse().unwrap());
    let rate = Rate { bytes_per_second: 4096 };
    let budget = Budget::new(2 * BODY_LIMIT);
    match body::read(request.into_body(), length, BODY_LIMIT, rate, &budget).await {
        Ok(held) => Response::new(Full::new(held.bytes)),
        Err(BodyError::TooLarge) => status(StatusCode::PAYLOAD_TOO_LARGE),
        Err(BodyError::TooSlow) => status(StatusCode::REQUEST_TIMEOUT),
        Err(BodyError::OverBudget) => status(StatusCode::SERVICE_UNAVAILABLE),
        Err(BodyError::Broken) => status(StatusCode::BAD_REQUEST),
    }
}

pub(super) fn status(status: StatusCode) -> Answer {
    let mut response = Answer::default();
    *response.status_mut() = status;
    response
}

pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, what).await.expect("it never happened")
}

/// A client that sends what it is told.
pub(super) struct Client<S>(pub S);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// One answer, headers and body.
    pub async fn answer(&mut self) -> String {
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(soon(self.0.read_u8()).await.unwrap());
        }
        let head = String::from_utf8(answer.clone()).unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        soon(self.0.read_exact(&mut body)).await.unwrap();
        head + &String::from_utf8(body).unwrap()
    }

    pub async fn status(&mut self) -> u16 {
        code(&self.answer().await)
    }

    /// Everything up to the end of the stream, however it ends.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = soon(self.0.read_to_end(&mut rest)).await;
        rest
    }
}

pub(super) fn code(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

pub(super) fn closes(answer: &str) -> bool {
    answer.contains("connection: close\r\n")
}
