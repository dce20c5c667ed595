//! What all handlers' requests share: their thread, how names are resolved, and whom to trust.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, OnceLock};
use std::thread;

use tokio::net::lookup_host;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::failure::Failure;
use super::target::Target;
use crate::address::embedded;

/// Names that are resolved at once: the system's resolver takes a thread for each.
const LOOKUPS: usize = 64;

/// The outside world, as handlers reach it.
pub struct Outside {
    thread: Handle,
    resolver: Resolver,
    listeners: Vec<SocketAddr>,
    tls: OnceLock<Result<TlsConnector, String>>,
    /// The thread ends when this is dropped.
    _end: oneshot::Sender<Infallible>,
}

/// How names become addresses.
pub(super) enum Resolver {
    /// As the system does.
    System,
    /// As a test says: an answer for each time it is asked.
    #[cfg(test)]
    Told(std::sync::Mutex<std::collections::VecDeque<Vec<SocketAddr>>>),
}

impl Outside {
    /// Starts the thread. `listeners` are hookyard's own.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(listeners: Vec<SocketAddr>) -> io::Result<Arc<Self>> {
        Self::with(listeners, Resolver::System, OnceLock::new())
    }

    pub(super) fn with(
        listeners: Vec<SocketAddr>,
        resolver: Resolver,
        tls: OnceLock<Result<TlsConnector, String>>,
    ) -> io::Result<Arc<Self>> {
        let mut runtime = Builder::new_current_thread();
        let runtime = runtime.enable_all().max_blocking_threads(LOOKUPS).build()?;
        let thread = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        thread::Builder::new().name("egress".to_owned()).spawn(move || {
            // What still runs then is dropped, and no lookup is waited for.
            let _dropped: Result<Infallible, _> = runtime.block_on(ended);
            runtime.shutdown_background();
        })?;
        Ok(Arc::new(Self { thread, resolver, listeners, tls, _end: end }))
    }

    /// The thread that requests are sent from.
    pub fn thread(&self) -> &Handle {
        &self.thread
    }

    /// The addresses of a host.
    ///
    /// # Errors
    /// It has none.
    pub async fn resolve(&self, target: &Target) -> io::Result<Vec<SocketAddr>> {
        let host = target.host.trim_matches(['[', ']']);
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![(address, target.port).into()]);
        }
        match &self.resolver {
            Resolver::System => Ok(lookup_host((host, target.port)).await?.collect()),
            #[cfg(test)]
            Resolver::Told(answers) => Ok(answers.lock().unwrap().pop_front().unwrap()),
        }
    }

    /// Whether a connection to there would end at hookyard's own listeners.
    pub fn is_own(&self, address: SocketAddr) -> bool {
        self.listeners.iter().any(|listener| leads_to(address, *listener, is_local))
    }

    /// What makes TLS of a connection, by the system's certificate authorities. They are read
    /// when they are needed first.
    ///
    /// # Errors
    /// The system has none.
    pub fn tls(&self) -> Result<&TlsConnector, Failure> {
        let connector = self.tls.get_or_init(|| {
            let found = rustls_native_certs::load_native_certs();
            let mut roots = RootCertStore::empty();
            if roots.add_parsable_certificates(found.certs).0 == 0 {
                let problems = found.errors.iter().map(ToString::to_string);
                return Err(problems.collect::<Vec<_>>().join(", "));
            }
            trusting(roots)
        });
        connector.as_ref().map_err(|problem| Failure::NoRoots(problem.clone()))
    }
}

/// TLS for those that these authorities vouch for.
pub(super) fn trusting(roots: RootCertStore) -> Result<TlsConnector, String> {
    let provider = Arc::new(ring::default_provider());
    let versions =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = versions
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config).into())
}

/// Whether a connection to `address` would end at `listener`; `is_local` says which addresses are
/// this machine's.
fn leads_to(address: SocketAddr, listener: SocketAddr, is_local: impl Fn(IpAddr) -> bool) -> bool {
    if address.port() != listener.port() {
        return false;
    }
    let listener = listener.ip().to_canonical();
    let inner = embedded(address.ip()).map(IpAddr::from);
    [Some(address.ip()), inner].into_iter().flatten().any(|ip| {
        // To connect to no address in particular is to connect to this machine.
        let is_here = || ip.is_unspecified() || ip.is_loopback() || is_local(ip);
        ip == listener || ip.is_unspecified() || (listener.is_unspecified() && is_here())
    })
}

/// Whether an address is this machine's: whether a socket can have it.
fn is_local(address: IpAddr) -> bool {
    may_be_local(UdpSocket::bind((address, 0)).map(drop))
}

/// Whether an address is to be taken for this machine's, by what came of binding a socket to it:
/// unless the system says that it is not, since there may only be no socket left.
fn may_be_local(bound: io::Result<()>) -> bool {
    bound.map_or_else(|error| error.kind() != io::ErrorKind::AddrNotAvailable, |()| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_listeners_are_known_under_every_address() {
        let is_local = |ip: IpAddr| ip == IpAddr::from([192, 0, 2, 7]);
        for (address, listener, expected) in [
            ("127.0.0.1:8080", "127.0.0.1:8080", true),
            ("127.0.0.1:8081", "127.0.0.1:8080", false),
            ("127.0.0.2:8080", "127.0.0.1:8080", false),
            ("0.0.0.0:8080", "127.0.0.1:8080", true),
            ("[::]:8080", "127.0.0.1:8080", true),
            ("[::ffff:127.0.0.1]:8080", "127.0.0.1:8080", true),
            ("127.0.0.1:8080", "[::ffff:127.0.0.1]:8080", true),
            ("[64:ff9b::7f00:1]:8080", "127.0.0.1:8080", true),
            ("[::1]:8080", "127.0.0.1:8080", false),
            ("127.0.0.9:8080", "0.0.0.0:8080", true),
            ("[::1]:8080", "[::]:8080", true),
            ("127.0.0.1:8080", "[::]:8080", true),
            ("192.0.2.7:8080", "0.0.0.0:8080", true),
            ("[::ffff:192.0.2.7]:8080", "[::]:8080", true),
            ("192.0.2.8:8080", "0.0.0.0:8080", false),
            ("192.0.2.7:8080", "192.0.2.7:8080", true),
            ("192.0.2.8:8080", "192.0.2.7:8080", false),
        ] {
            let found = leads_to(address.parse().unwrap(), listener.parse().unwrap(), is_local);
            assert_eq!(found, expected, "{address} {listener}");
        }
    }

    #[test]
    fn this_machines_addresses_are_known() {
        for (address, expected) in
            [("127.0.0.1", true), ("127.9.9.9", true), ("192.0.2.1", false), ("2001:db8::1", false)]
        {
            assert_eq!(is_local(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_asked_about_is_taken_for_this_machines() {
        use rustix::io::Errno;
        for (bound, expected) in [
            (Ok(()), true),
            (Err(Errno::ADDRNOTAVAIL), false),
            (Err(Errno::MFILE), true),
            (Err(Errno::NFILE), true),
            (Err(Errno::NOBUFS), true),
            (Err(Errno::ACCESS), true),
        ] {
            assert_eq!(may_be_local(bound.map_err(io::Error::from)), expected, "{bound:?}");
        }
    }
}
