//! What all handlers' requests share: their thread, how names are resolved, and whom to trust.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, OnceLock};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio_rustls::rustls::ClientConfig;

use super::failure::Failure;
use crate::address::embedded;
use crate::dial::{self, Names, Resolver};

/// Threads for names that are looked up, of all handlers.
const LOOKUPS: usize = 64;

/// The outside world, as handlers reach it.
pub struct Outside {
    thread: Handle,
    resolver: Resolver,
    listeners: Vec<SocketAddr>,
    tls: OnceLock<Result<Arc<ClientConfig>, String>>,
    /// The thread ends when this is dropped.
    _end: oneshot::Sender<Infallible>,
}

impl Outside {
    /// Starts the thread. `listeners` are hookyard's own.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(listeners: Vec<SocketAddr>) -> io::Result<Arc<Self>> {
        Self::with(listeners, dial::system(), OnceLock::new())
    }

    pub(super) fn with(
        listeners: Vec<SocketAddr>,
        resolver: Resolver,
        tls: OnceLock<Result<Arc<ClientConfig>, String>>,
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

    /// How one handler resolves names.
    pub fn names(&self) -> Names {
        Names::new(self.resolver.clone())
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
    pub fn tls(&self) -> Result<&Arc<ClientConfig>, Failure> {
        let connector = self
            .tls
            .get_or_init(|| dial::system_roots().map(|roots| dial::trusting(Arc::new(roots))));
        connector.as_ref().map_err(|problem| Failure::NoRoots(problem.clone()))
    }
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
