//! Connecting to a host that somebody else names: its name is resolved once, each of its addresses
//! is judged, and only one that was judged is connected to, so that no second answer leads elsewhere.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Names that one caller looks up at once. Each takes a thread of the runtime's for as long as the
/// system's resolver takes, even when nobody waits for the answer any more.
const LOOKUPS: usize = 8;

/// Addresses of a host that are tried.
const ADDRESSES: usize = 8;

/// Gives the addresses of a host, with that port; it may block.
pub type Resolver = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// The system's resolver.
pub fn system() -> Resolver {
    Arc::new(|host, port| Ok((host, port).to_socket_addrs()?.collect()))
}

/// How one caller resolves names: a few at once, so that its slow ones hold up only itself.
#[derive(Clone)]
pub struct Names {
    resolver: Resolver,
    places: Arc<Semaphore>,
}

impl Names {
    /// By that resolver.
    pub fn new(resolver: Resolver) -> Self {
        Self { resolver, places: Arc::new(Semaphore::new(LOOKUPS)) }
    }

    /// The addresses of a host, which may be an address itself; IPv6 in brackets.
    ///
    /// # Errors
    /// It has none.
    pub async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let host = bare(host);
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let place = self.places.clone().acquire_owned().await.map_err(io::Error::other)?;
        let (resolver, host) = (self.resolver.clone(), host.to_owned());
        let look_up = move || {
            let _until_it_ends = place;
            resolver(&host, port)
        };
        spawn_blocking(look_up).await.map_err(io::Error::other)?
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").finish_non_exhaustive()
    }
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.trim_matches(['[', ']'])
}

/// The addresses that pass.
///
/// # Errors
/// None does: why the first does not.
pub fn judged<E>(
    found: Vec<SocketAddr>,
    judge: impl Fn(SocketAddr) -> Result<(), E>,
) -> Result<Vec<SocketAddr>, E> {
    let (mut good, mut refused) = (Vec::new(), None);
    for address in found.into_iter().take(ADDRESSES) {
        match judge(address) {
            Ok(()) => good.push(address),
            Err(why) => refused = refused.or(Some(why)),
        }
    }
    match refused {
        Some(why) if good.is_empty() => Err(why),
        _ => Ok(good),
    }
}

/// Connects to the first address that answers; none may take the time of those after it.
///
/// # Errors
/// None answers by then: why the last does not.
pub async fn reach(addresses: &[SocketAddr], by: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::other("its name stands for no address");
    for (n, address) in addresses.iter().enumerate() {
        let left = by.saturating_duration_since(Instant::now());
        let share = left.div_f64((addresses.len() - n) as f64);
        match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // A request is written in one piece, and waits for nothing.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_elapsed) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

/// Speaks TLS with that host.
///
/// # Errors
/// It is not whom its certificate should show, or speaks no TLS.
pub async fn secure(
    tls: &Arc<ClientConfig>,
    host: &str,
    stream: TcpStream,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(bare(host).to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(tls.clone()).connect(name, stream).await
}

/// TLS for HTTP/1.1 with those that these authorities vouch for.
pub fn trusting(roots: Arc<RootCertStore>) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut config = builder
        .with_safe_default_protocol_versions()
        // The provider has all of them.
        .expect("the provider has the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// The certificate authorities of the system.
///
/// # Errors
/// There are none: the problems with reading them.
pub fn system_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    if roots.add_parsable_certificates(found.certs).0 > 0 {
        return Ok(roots);
    }
    let problems = found.errors.iter().map(ToString::to_string);
    Err(problems.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_lookup_that_nobody_waits_for_keeps_its_place_until_it_ends() {
        let (release, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let (begin, mut begun) = tokio::sync::mpsc::unbounded_channel();
        let names = Names::new(Arc::new(move |_, _| {
            begin.send(()).unwrap();
            let _released = gate.lock().unwrap().recv();
            Ok(Vec::new())
        }));
        for _ in 0..LOOKUPS {
            assert!(names.resolve("slow.dev", 80).now_or_never().is_none());
            begun.recv().await.unwrap();
        }
        let mut next = Box::pin(names.resolve("slow.dev", 80));
        assert!((&mut next).now_or_never().is_none());
        assert!(begun.try_recv().is_err(), "it has not begun");
        drop(release);
        assert_eq!(next.await.unwrap(), []);
    }

    #[tokio::test]
    async fn an_address_is_not_looked_up() {
        let names = Names::new(Arc::new(|host, _| panic!("{host} is looked up")));
        for (host, expected) in
            [("192.0.2.7", "192.0.2.7:81"), ("[2001:db8::1]", "[2001:db8::1]:81")]
        {
            assert_eq!(names.resolve(host, 81).await.unwrap(), [expected.parse().unwrap()]);
        }
    }

    #[test]
    fn addresses_that_do_not_pass_are_left_out_until_there_is_none() {
        let at = |last: u8| SocketAddr::from(([192, 0, 2, last], 80));
        let judge = |address: SocketAddr| match address.port() {
            80 if address.ip() == at(9).ip() => Ok(()),
            _ => Err(address),
        };
        assert_eq!(judged(vec![at(1), at(9), at(2)], judge), Ok(vec![at(9)]));
        assert_eq!(judged(vec![at(1), at(2)], judge), Err(at(1)));
        assert_eq!(judged(Vec::new(), judge), Ok(Vec::new()));
        let many = (0..=ADDRESSES as u8).map(at).collect();
        assert_eq!(judged(many, |_| Ok::<_, ()>(())).unwrap().len(), ADDRESSES);
    }
}
