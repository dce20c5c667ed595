//! TLS from a certificate and a key in PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig, crypto::ring};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate or key file is missing, or holds no PEM of its kind.
    #[error("{path}: {cause}", path = path.display())]
    File {
        /// The file at fault.
        path: PathBuf,
        /// What is wrong with it; never its content.
        cause: pem::Error,
    },
    /// The certificate file holds no certificate.
    #[error("{path}: no certificate found", path = .0.display())]
    Empty(PathBuf),
    /// The two do not belong together, or the key is of a kind that rustls lacks.
    #[error("{cert} with {key}: {cause}", cert = cert.display(), key = key.display())]
    Pair {
        /// The certificate file.
        cert: PathBuf,
        /// The key file.
        key: PathBuf,
        /// What rustls says.
        cause: rustls::Error,
    },
}

/// Reads the certificate chain and the private key. HTTP/2 is offered before HTTP/1.1.
///
/// # Errors
/// Name the file at fault.
pub fn acceptor(cert: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        |cause| TlsError::File { path, cause }
    };
    let chain: Vec<_> =
        CertificateDer::pem_file_iter(cert).and_then(Iterator::collect).map_err(at(cert))?;
    if chain.is_empty() {
        return Err(TlsError::Empty(cert.to_owned()));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(at(key))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret))
        .map_err(|cause| TlsError::Pair { cert: cert.to_owned(), key: key.to_owned(), cause })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
