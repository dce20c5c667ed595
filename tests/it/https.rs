//! A provider's https server, as small as can be, on a port of its own.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::ring};

/// An authority that nobody trusts who does not have its file.
pub struct Authority {
    pub certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// A certificate for that name, and its key.
    pub fn certify(&self, name: &str, key: &KeyPair) -> Certificate {
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        params.signed_by(key, &self.issuer).unwrap()
    }

    /// Writes its certificate to a file.
    pub fn write(&self, folder: &Path) -> PathBuf {
        let path = folder.join("ca.pem");
        std::fs::write(&path, self.certificate.pem()).unwrap();
        path
    }
}

/// What is answered: a status line's end and a body.
type Pages = HashMap<String, (String, String)>;

pub struct Server {
    /// `localhost:<port>`.
    pub host: String,
    pages: Arc<Mutex<Pages>>,
    /// Method, target and body of what was asked.
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl Server {
    /// Serves with a certificate of that authority.
    pub fn start(authority: &Authority) -> Self {
        let key = KeyPair::generate().unwrap();
        let chain = vec![authority.certify("localhost", &key).der().clone()];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = format!("localhost:{}", listener.local_addr().unwrap().port());
        let server = Self { host, pages: Arc::default(), asked: Arc::default() };
        let (pages, asked, config) = (server.pages.clone(), server.asked.clone(), Arc::new(config));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (pages, asked, config) = (pages.clone(), asked.clone(), config.clone());
                thread::spawn(move || {
                    let connection = ServerConnection::new(config).unwrap();
                    answer(StreamOwned::new(connection, stream), &pages, &asked);
                });
            }
        });
        server
    }

    /// From now on, `path` is answered with that.
    pub fn page(&self, path: &str, status: &str, body: impl Into<String>) {
        let answer = (status.to_owned(), body.into());
        self.pages.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// Method and target, and the body, of every request so far.
    pub fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(
    stream: StreamOwned<ServerConnection, std::net::TcpStream>,
    pages: &Mutex<Pages>,
    asked: &Mutex<Vec<(String, String)>>,
) {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        match reader.read_line(&mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if line == "\r\n" => break,
            // What is asked for has its case.
            Ok(_) if lines.is_empty() => lines.push(line.trim_end().to_owned()),
            Ok(_) => lines.push(line.trim_end().to_ascii_lowercase()),
        }
    }
    let length = lines.iter().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    std::io::Read::read_exact(&mut reader, &mut body).unwrap();
    let mut words = lines[0].split(' ');
    let (method, target) = (words.next().unwrap().to_ascii_lowercase(), words.next().unwrap());
    let body = String::from_utf8(body).unwrap();
    asked.lock().unwrap().push((format!("{method} {target}"), body));
    let path = target.split('?').next().unwrap();
    let missing = ("404 Not Found".to_owned(), String::new());
    let (status, body) = pages.lock().unwrap().get(path).cloned().unwrap_or(missing);
    let length = body.len();
    let answer =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    let mut stream = reader.into_inner();
    // Whoever asked may have heard enough.
    let _gone = stream.write_all(answer.as_bytes());
    let _gone = stream.flush();
    stream.conn.send_close_notify();
    let _gone = stream.flush();
}
