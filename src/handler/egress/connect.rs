//! A connection to one of a host's addresses, every one of which was checked before.

use std::net::SocketAddr;
use std::time::Duration;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::rustls::pki_types::ServerName;

use super::failure::Failure;
use super::outside::Outside;
use super::pool::Connection;
use super::target::{Scheme, Target};
use crate::address;

/// Bytes of a response's header fields, and how many they are.
const HEADER_BYTES: usize = 64 << 10;
const HEADERS: usize = 100;

/// Connects within that time. The name is resolved once, and only addresses that were checked are
/// connected to, so that no second answer can lead elsewhere. The connection holds `place` until
/// it is closed.
///
/// # Errors
/// It has no address that may be reached, nobody answers, or it is somebody else.
pub async fn connect(
    outside: &Outside,
    target: &Target,
    private: &[IpNet],
    within: Duration,
    place: OwnedSemaphorePermit,
) -> Result<Connection, Failure> {
    let by = Instant::now() + within;
    let connected = async {
        let found = outside.resolve(target).await.map_err(Failure::Unresolved)?;
        let stream = reach(&checked(outside, found, private)?, by).await?;
        match target.scheme {
            Scheme::Http => speak(stream, place).await,
            Scheme::Https => {
                let name = ServerName::try_from(target.host.trim_matches(['[', ']']).to_owned());
                let name = name.map_err(|error| Failure::Tls(std::io::Error::other(error)))?;
                let stream = outside.tls()?.connect(name, stream).await.map_err(Failure::Tls)?;
                speak(stream, place).await
            }
        }
    };
    timeout_at(by, connected).await.unwrap_or(Err(Failure::ConnectTime(within)))
}

/// The addresses that may be reached; when there is none, why the first may not.
fn checked(
    outside: &Outside,
    found: Vec<SocketAddr>,
    private: &[IpNet],
) -> Result<Vec<SocketAddr>, Failure> {
    let check = |address: SocketAddr| match address::check(address.ip(), private) {
        Ok(()) if outside.is_own(address) => Err(Failure::Own),
        Ok(()) => Ok(address),
        Err(refused) => Err(refused.into()),
    };
    let (good, refused): (Vec<_>, Vec<_>) = found.into_iter().map(check).partition(Result::is_ok);
    match refused.into_iter().next() {
        Some(Err(why)) if good.is_empty() => Err(why),
        _ => Ok(good.into_iter().flatten().collect()),
    }
}

/// Connects to the first address that answers; none may take the time of those after it.
async fn reach(addresses: &[SocketAddr], by: Instant) -> Result<TcpStream, Failure> {
    let mut last = std::io::Error::other("its name stands for no address");
    for (n, address) in addresses.iter().enumerate() {
        let left = by.saturating_duration_since(Instant::now());
        let share = left.div_f64((addresses.len() - n) as f64);
        match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // A request is written in one piece, and waits for nothing.
                stream.set_nodelay(true).map_err(Failure::Unreachable)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_elapsed) => last = std::io::ErrorKind::TimedOut.into(),
        }
    }
    Err(Failure::Unreachable(last))
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
