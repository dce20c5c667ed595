//! The HTTP server: accepts connections, holds them to their limits, and drains.
//!
//! It serves any hyper service, over HTTP/1.1 and HTTP/2, with TLS or without.

mod activity;
pub mod body;
mod budget;
mod connection;
mod framer;
mod framing;
mod tls;
mod wire;

use std::error::Error;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::service::Service;
use prometheus::IntCounter;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::seldom::Seldom;
pub use tokio_rustls::TlsAcceptor;

pub use budget::{Budget, Reservation};
pub use framing::HEADER_FIELDS;
pub use tls::{TlsError, acceptor};

/// Requests that one HTTP/2 connection may have open at once.
pub const HTTP2_STREAMS: u32 = 32;
/// How long an early answer waits for the sender to read it.
pub const LINGER_TIME: Duration = Duration::from_secs(1);
/// How many bytes of an unwanted body are read and thrown away.
pub const LINGER_BYTES: usize = 64 * 1024 * 1024;

/// How long accepting rests when the process has no descriptor or memory left.
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// The same trouble is not logged again before this.
const LOG_REST: Duration = Duration::from_secs(10);

/// What a connection may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Open connections; more are closed at once.
    pub connections: usize,
    /// Bytes of a request line with its headers; at least 8 KiB. More get 431.
    pub header_bytes: usize,
    /// Time to the end of the headers, TLS handshake included for the first request.
    /// In HTTP/2 it holds for the first request; later ones are under `idle_timeout`.
    pub header_timeout: Duration,
    /// Time between requests.
    pub idle_timeout: Duration,
}

impl Limits {
    /// 4096 connections, 64 KiB and 10 s for a head, 75 s between requests.
    pub const DEFAULT: Self = Self {
        connections: 4096,
        header_bytes: 64 * 1024,
        header_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(75),
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Serves connections until `shutdown` resolves; then accepts no more, lets the requests
/// under way finish, and cuts what is left after `drain_timeout`: it returns how many that were.
/// `refused` counts connections over the limit.
///
/// `service` makes the service of one connection, given its peer.
pub async fn serve<M, S, B>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    service: M,
    shutdown: impl Future<Output = ()>,
    drain_timeout: Duration,
    refused: &IntCounter,
) -> usize
where
    M: Fn(SocketAddr) -> S,
    S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Default + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(limits.connections));
    let host = Arc::new(connection::Host::new(limits, tls));
    let (drain, draining) = watch::channel(false);
    let mut connections = JoinSet::new();
    let (full, troubled) = (Seldom::new(LOG_REST), Seldom::new(LOG_REST));
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, peer) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &troubled) => accepted,
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            refused.inc();
            full.say(|_| tracing::warn!(refused = refused.get(), "too many connections"));
            continue;
        };
        let (host, service, mut draining) = (Arc::clone(&host), service(peer), draining.clone());
        connections.spawn(async move {
            let drain = async { drop(draining.wait_for(|on| *on).await) };
            host.serve(stream, service, drain).await;
            drop(slot);
        });
    }
    drop(listener);
    drain.send_replace(true);
    let done = async { while connections.join_next().await.is_some() {} };
    let cut = match timeout(drain_timeout, done).await {
        Ok(()) => 0,
        Err(_) => connections.len(),
    };
    connections.shutdown().await;
    cut
}

/// The next connection, however long it takes.
async fn accept(listener: &TcpListener, troubled: &Seldom) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(cause) if is_of_the_peer(&cause) => {}
            Err(cause) => {
                troubled.say(|_| tracing::error!(%cause, "cannot accept connections"));
                sleep(ACCEPT_REST).await;
            }
        }
    }
}

/// Whether it says something about that one connection, and the next may be accepted at once.
fn is_of_the_peer(cause: &io::Error) -> bool {
    matches!(
        cause.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests;
