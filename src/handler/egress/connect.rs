//! A connection to one of a host's addresses, every one of which was checked before.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::client::Client;
use super::failure::Failure;
use super::pool::Connection;
use super::target::{Scheme, Target};
use crate::address;
use crate::dial;

/// Bytes of a response's header fields, and how many they are.
const HEADER_BYTES: usize = 64 << 10;
const HEADERS: usize = 100;

impl Client {
    /// Connects within that time. The connection holds `place` until it is closed.
    ///
    /// # Errors
    /// It has no address that may be reached, nobody answers, or it is somebody else.
    pub(super) async fn dial(
        &self,
        target: &Target,
        within: Duration,
        place: OwnedSemaphorePermit,
    ) -> Result<Connection, Failure> {
        let by = Instant::now() + within;
        let (host, outside) = (&*target.host, &*self.outside);
        let unreachable = |error: io::Error| match error.kind() {
            io::ErrorKind::TimedOut => Failure::ConnectTime(within),
            _ => Failure::Unreachable(error),
        };
        let connected = async {
            let found = self.names.resolve(host, target.port).await.map_err(Failure::Unresolved)?;
            let addresses = dial::judged(found, |address| self.may_reach(address))?;
            let stream = dial::reach(&addresses, by).await.map_err(unreachable)?;
            match target.scheme {
                Scheme::Http => speak(stream, place).await,
                Scheme::Https => {
                    let stream = dial::secure(outside.tls()?, host, stream).await;
                    speak(stream.map_err(Failure::Tls)?, place).await
                }
            }
        };
        timeout_at(by, connected).await.unwrap_or(Err(Failure::ConnectTime(within)))
    }

    fn may_reach(&self, address: SocketAddr) -> Result<(), Failure> {
        address::check(address.ip(), &self.reach.private)?;
        if self.outside.is_own(address) { Err(Failure::Own) } else { Ok(()) }
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    place: OwnedSemaphorePermit,
) -> Result<Connection, Failure> {
    let mut http = http1::Builder::new();
    http.max_buf_size(HEADER_BYTES).max_headers(HEADERS);
    let (sender, connection) = http.handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // What goes wrong with it, whoever waits for a response is told too.
        let _ended = connection.await;
        drop(place);
    });
    Ok(sender)
}
