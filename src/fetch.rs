//! Fetching a key or a certificate over https: public addresses only, no redirects, bounded in bytes
//! and time.

use std::io;
use std::net::SocketAddr;
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
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, TrustAnchor};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use crate::address::{self, NotPublic};
use crate::dial::{self, Names};

/// How long a fetch may take in all.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long its addresses may take to be connected to.
const CONNECT: Duration = Duration::from_secs(4);
/// Bytes of an answer's body at the most.
const ANSWER_BYTES: usize = 256 * 1024;

const AGENT: &str = concat!("hookyard/", env!("CARGO_PKG_VERSION"));
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The certificate authorities of the system.
static SYSTEM: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    // Without any, a fetch says so.
    Arc::new(dial::system_roots().unwrap_or_else(|_none| RootCertStore::empty()))
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
    tls: Arc<ClientConfig>,
    names: Names,
    private: Vec<IpNet>,
}

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
        let (tls, names) = (dial::trusting(roots.clone()), Names::new(dial::system()));
        Ok(Self { roots, tls, names, private })
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
        let broken = |cause| FetchError::Http { host: host.to_owned(), cause };
        let stream = self.connect(host, uri.port_u16().unwrap_or(443)).await?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // It ends with this set, however the exchange ends.
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        let answer = sender.send_request(request(uri, host, post)?).await.map_err(broken)?;
        let (head, body) = answer.into_parts();
        if head.status != StatusCode::OK {
            return Err(FetchError::Status { host: host.to_owned(), status: head.status });
        }
        let body = Limited::new(body, ANSWER_BYTES).collect().await;
        body.map(|body| body.to_bytes()).map_err(|_| FetchError::Body { host: host.to_owned() })
    }

    /// Connects to an address of the host that may be reached.
    async fn connect(&self, host: &str, port: u16) -> Result<TlsStream<TcpStream>, FetchError> {
        let unknown = |cause| FetchError::Dns { host: host.to_owned(), cause };
        let refused = |cause| FetchError::Address { host: host.to_owned(), cause };
        let cannot = |cause| FetchError::Connect { host: host.to_owned(), cause };
        let found = self.names.resolve(host, port).await.map_err(unknown)?;
        let may = |found: SocketAddr| address::check(found.ip(), &self.private);
        let addresses = dial::judged(found, may).map_err(refused)?;
        let stream = dial::reach(&addresses, Instant::now() + CONNECT).await.map_err(cannot)?;
        dial::secure(&self.tls, host, stream).await.map_err(cannot)
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

fn read(path: &Path) -> Result<RootCertStore, RootsError> {
    let unreadable = |cause| RootsError::Pem { path: path.to_owned(), cause };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        let added = roots.add(certificate.map_err(unreadable)?);
        added.map_err(|cause| RootsError::Certificate { path: path.to_owned(), cause })?;
    }
    if roots.is_empty() { Err(RootsError::Empty(path.to_owned())) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::crypto::ring;

    use super::*;

    #[tokio::test]
    async fn a_fetch_that_is_given_up_leaves_no_connection() {
        for sent in ["", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nsome"] {
            let CertifiedKey { cert, signing_key } =
                generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
            let key = signing_key.serialize_der().try_into().unwrap();
            let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![cert.der().clone()], key)
                .unwrap();
            let folder = tempfile::tempdir().unwrap();
            let authorities = folder.path().join("ca.pem");
            std::fs::write(&authorities, cert.pem()).unwrap();
            let private = vec!["127.0.0.0/8".parse().unwrap()];
            let fetcher = Fetcher::new(Some(&authorities), private).unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("https://{}/", listener.local_addr().unwrap());
            let fetching = tokio::spawn(async move { fetcher.fetch(&url, None).await });
            let (stream, _) = listener.accept().await.unwrap();
            let tls = TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap();
            let mut stream = BufReader::new(tls);
            let mut line = String::new();
            while line != "\r\n" {
                line.clear();
                stream.read_line(&mut line).await.unwrap();
            }
            stream.write_all(sent.as_bytes()).await.unwrap();
            fetching.abort();
            // Without an end this would wait for ever.
            let _end_or_reset = stream.read_to_end(&mut Vec::new()).await;
        }
    }
}
