//! TLS, with a certificate made for the occasion.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::*;
use crate::server::{TlsError, acceptor};

struct Files {
    folder: tempfile::TempDir,
    certificate: CertificateDer<'static>,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        Self { folder, certificate: made.cert.der().clone() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn server(&self, limits: Limits) -> Server {
        let tls = acceptor(&self.path("cert.pem"), &self.path("key.pem")).unwrap();
        Server::with(limits, Some(tls), LONG, by_path).await
    }

    async fn connect(&self, server: &Server, protocols: &[&[u8]]) -> Client<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let stream = TcpStream::connect(server.address).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        Client(connected.unwrap())
    }
}

#[tokio::test]
async fn both_protocols_are_spoken() {
    let files = Files::new();
    let server = files.server(Limits::DEFAULT).await;
    for offered in [&[][..], &[&b"http/1.1"[..]][..]] {
        let mut client = files.connect(&server, offered).await;
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").await;
        assert!(client.answer().await.ends_with("hello"));
    }
    let mut client = files.connect(&server, &[b"http/1.1", b"h2"]).await;
    assert_eq!(client.0.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    let mut settings = [0; 9];
    soon(client.0.read_exact(&mut settings)).await.unwrap();
    assert_eq!(settings[3], 4);
}

#[tokio::test]
async fn a_sender_that_is_still_sending_can_read_the_answer() {
    let files = Files::new();
    let server = files.server(Limits::DEFAULT).await;
    let mut client = files.connect(&server, &[]).await;
    let length = 8 * 1024 * 1024;
    client
        .send(format!("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"))
        .await;
    client.send(vec![b'x'; length]).await;
    assert_eq!(client.status().await, 401);
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_cut() {
    let files = Files::new();
    let limits = Limits { header_timeout: SHORT, idle_timeout: 100 * LONG, ..Limits::DEFAULT };
    let server = files.server(limits).await;
    let mut silent = server.connect().await;
    assert_eq!(silent.rest().await, b"");
    let mut started = server.connect().await;
    started.send(b"\x16\x03\x01\x02\x00").await;
    assert_eq!(started.rest().await, b"");
    let mut shaken = files.connect(&server, &[]).await;
    assert_eq!(shaken.rest().await, b"");
}

#[tokio::test]
async fn draining_does_not_wait_for_handshakes() {
    let files = Files::new();
    let server = files.server(Limits { header_timeout: 100 * LONG, ..Limits::DEFAULT }).await;
    let _silent = server.connect().await;
    // Accepted after the silent one, so both are.
    files.connect(&server, &[]).await;
    assert_eq!(soon(server.stop()).await.unwrap(), 0);
}

#[test]
fn errors_name_the_file() {
    let (files, others) = (Files::new(), Files::new());
    std::fs::write(files.path("empty.pem"), "no certificate here").unwrap();
    let error = |cert: &Path, key: &Path| acceptor(cert, key).err().unwrap();
    let (cert, key) = (files.path("cert.pem"), files.path("key.pem"));

    let missing = error(&files.path("missing.pem"), &key);
    assert!(missing.to_string().contains("missing.pem"), "{missing}");
    let empty = error(&files.path("empty.pem"), &key);
    assert!(matches!(&empty, TlsError::Empty(path) if path.ends_with("empty.pem")));
    let no_key = error(&cert, &cert);
    assert!(matches!(&no_key, TlsError::File { path, .. } if *path == cert));
    let foreign = error(&cert, &others.path("key.pem"));
    assert!(matches!(&foreign, TlsError::Pair { .. }), "{foreign}");
}
