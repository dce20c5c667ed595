//! Fetching a key or a certificate over https: public addresses only, no redirects, bounded in bytes
//! and time.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use thiserror::Error;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, TrustAnchor};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use crate::address::{self, NotPublic};

/// How long a fetch may take in all.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one address may take to be connected to.
const CONNECT: Duration = Duration::from_secs(2);
/// Addresses of a host that are tried.
const ADDRESSES: usize = 4;
/// Bytes of an answer's body at the most.
const ANSWER_BYTES: usize = 256 * 1024;

const AGENT: &str = concat!("hookyard/", env!("CARGO_PKG_VERSION"));
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The certificate authorities of the system.
static SYSTEM: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    // Without any, a fetch says so.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    Arc::new(roots)
});

/// Why nothing was fetched.
#[derive(Debug, Error)]
pub enum FetchError {
    #[error("`{0}` is no https URL")]
    Url(String),
    #[error("{host} cannot be found: {cause}")]
    Dns { host: String, cause: io::Error },
    #[error("{host} may not be reached: {cause}; `private` of the source's `fetch` could name it")]
    Address { host: String, cause: NotPublic },
    #[error("{host} cannot be reached: {cause}")]
    Connect { host: String, cause: io::Error },
    #[error("the answer of {host} breaks off: {cause}")]
    Http { host: String, cause: hyper::Error },
    #[error("the answer of {host} breaks off, or is longer than {ANSWER_BYTES} bytes")]
    Body { host: String },
    #[error("{host} answers {status}")]
    Status { host: String, status: StatusCode },
    #[error("{host} takes too long")]
    Slow { host: String },
}

impl FetchError {
    /// Whether the place is there and says that it has no such thing.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Status { status, .. } if status.is_client_error()
            && !matches!(status.as_u16(), 401 | 408 | 425 | 429))
    }
}

/// Why a file of certificate authorities cannot be used.
#[derive(Debug, Error)]
pub enum RootsError {
    #[error("{path}: {cause}", path = path.display())]
    Pem { path: PathBuf, cause: pem::Error },
    #[error("{path}: {cause}", path = path.display())]
    Certificate { path: PathBuf, cause: rustls::Error },
    #[error("{path}: no certificate found", path = .0.display())]
    Empty(PathBuf),
}

/// Fetches, from whom it may.
#[derive(Debug, Clone)]
pub struct Fetcher {
    roots: Arc<RootCertStore>,
    tls: TlsConnectorConfig,
    private: Vec<IpNet>,
}

type TlsConnectorConfig = Arc<ClientConfig>;

impl Fetcher {
    /// `authorities` is a PEM file of those to trust in place of the system's; `private` are
    /// ranges of private addresses that may be reached.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn new(authorities: Option<&Path>, private: Vec<IpNet>) -> Result<Self, RootsError> {
        let roots = match authorities {
            Some(path) => Arc::new(read(path)?),
            None => SYSTEM.clone(),
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let tls = builder
            .with_safe_default_protocol_versions()
            // The provider has all of them.
            .expect("the provider has the default versions")
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        Ok(Self { roots, tls: Arc::new(tls), private })
    }

    /// The certificate authorities that it trusts.
    pub fn roots(&self) -> &[TrustAnchor<'static>] {
        &self.roots.roots
    }

    /// The body at an https URL; with `post`, of the answer to that JSON.
    ///
    /// # Errors
    /// Anything but a 200 with a body that is not too long, in time, from an address that may be
    /// reached.
    pub async fn fetch(&self, url: &str, post: Option<&str>) -> Result<Bytes, FetchError> {
        let uri: Uri = url.parse().map_err(|_| FetchError::Url(url.to_owned()))?;
        let (Some("https"), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return Err(FetchError::Url(url.to_owned()));
        };
        let slow = |_| FetchError::Slow { host: host.to_owned() };
        // On the heap: every request has room for what it awaits, and hardly one fetches anything.
        let exchange = Box::pin(self.exchange(&uri, host, post));
        timeout(PATIENCE, exchange).await.map_err(slow)?
    }

    async fn exchange(
        &self,
        uri: &Uri,
        host: &str,
        post: Option<&str>,
    ) -> Result<Bytes, FetchError> {
        let cannot = |cause| FetchError::Connect { host: host.to_owned(), cause };
        let broken = |cause| FetchError::Http { host: host.to_owned(), cause };
        let stream = self.connect(host, uri.port_u16().unwrap_or(443)).await?;
        let name = ServerName::try_from(bare(host).to_owned());
        let name = name.map_err(|_| FetchError::Url(uri.to_string()))?;
        let tls = TlsConnector::from(self.tls.clone()).connect(name, stream).await;
        let io = TokioIo::new(tls.map_err(cannot)?);
        let (mut sender, connection) = http1::handshake(io).await.map_err(broken)?;
        let connection = tokio::spawn(connection);
        let answer = sender.send_request(request(uri, host, post)?).await.map_err(broken)?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES).collect().await;
        connection.abort();
        if head.status != StatusCode::OK {
            return Err(FetchError::Status { host: host.to_owned(), status: head.status });
        }
        body.map(|body| body.to_bytes()).map_err(|_| FetchError::Body { host: host.to_owned() })
    }

    /// Connects to an address of the host that may be reached: the one that was judged, not one
    /// that is looked up anew.
    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, FetchError> {
        let addresses = match bare(host).parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, port)],
            Err(_) => lookup_host((host, port))
                .await
                .map_err(|cause| FetchError::Dns { host: host.to_owned(), cause })?
                .collect(),
        };
        let none = io::Error::from(io::ErrorKind::NotFound);
        let mut last = FetchError::Dns { host: host.to_owned(), cause: none };
        for address in addresses.into_iter().take(ADDRESSES) {
            let host = host.to_owned();
            if let Err(cause) = address::check(address.ip(), &self.private) {
                last = FetchError::Address { host, cause };
                continue;
            }
            match timeout(CONNECT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(cause)) => last = FetchError::Connect { host, cause },
                Err(_) => last = FetchError::Slow { host },
            }
        }
        Err(last)
    }
}

fn request(uri: &Uri, host: &str, post: Option<&str>) -> Result<Request<Full<Bytes>>, FetchError> {
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let authority = uri.authority().map_or(host, |authority| authority.as_str());
    let request = match post {
        Some(_) => Request::post(target).header(CONTENT_TYPE, JSON),
        None => Request::get(target),
    };
    request
        .header(HOST, authority)
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, "*/*")
        .body(Full::new(Bytes::from(post.unwrap_or_default().to_owned())))
        .map_err(|_| FetchError::Url(uri.to_string()))
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.trim_matches(['[', ']'])
}

fn read(path: &Path) -> Result<RootCertStore, RootsError> {
    let unreadable = |cause| RootsError::Pem { path: path.to_owned(), cause };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        let added = roots.add(certificate.map_err(unreadable)?);
        added.map_err(|cause| RootsError::Certificate { path: path.to_owned(), cause })?;
    }
    if roots.is_empty() { Err(RootsError::Empty(path.to_owned())) } else { Ok(roots) }
}
