//! Requests to real servers on this machine, plain and over TLS, under names that a resolver under
//! test makes up.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use rcgen::{CertifiedIssuer, KeyPair, generate_simple_self_signed};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use wasmtime_wasi_http::{Error, WasiBody};

use super::client::{Client, Times};
use super::failure::Failure;
use super::outside::Outside;
use super::reach::Reach;
use super::target::Target;
use crate::dial::{Resolver, trusting};

/// What a server saw: a connection with the name that TLS gave it, the lines of a request's head,
/// the end of a connection.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Connected(Option<String>),
    Head(Vec<String>),
    Closed,
}

/// A server that answers every request in the same way.
struct Server {
    address: SocketAddr,
    seen: mpsc::UnboundedReceiver<Seen>,
}

impl Server {
    async fn start(answer: &'static [u8], tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, seen) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tell, tls) = (tell.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => {
                            tell.send(Seen::Connected(None)).unwrap();
                            serve(stream, answer, &tell).await;
                        }
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            let name = stream.get_ref().1.server_name().map(str::to_owned);
                            tell.send(Seen::Connected(name)).unwrap();
                            serve(stream, answer, &tell).await;
                        }
                    }
                    let _test_is_over = tell.send(Seen::Closed);
                });
            }
        });
        Self { address, seen }
    }

    async fn next(&mut self) -> Seen {
        self.seen.recv().await.unwrap()
    }

    /// A URL on the server, under that name.
    fn at(&self, scheme: &str, host: &str) -> String {
        format!("{scheme}://{host}:{}/v1", self.address.port())
    }
}

/// Answers requests without a body until the other side, or an answer that says so, ends it.
async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &[u8],
    tell: &mpsc::UnboundedSender<Seen>,
) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            match stream.read_line(&mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) if line == "\r\n" => break,
                Ok(_) => head.push(line.trim_end().to_owned()),
            }
        }
        tell.send(Seen::Head(head)).unwrap();
        if stream.write_all(answer).await.is_err() || answer.ends_with(b"bye") {
            return;
        }
    }
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const BYE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbye";

/// A client whose resolver gives these answers, one a lookup, with loopback granted.
fn client(answers: &[&[SocketAddr]]) -> Arc<Client> {
    client_with(answers, &["127.0.0.0/8"], Vec::new(), None)
}

fn client_with(
    answers: &[&[SocketAddr]],
    private: &[&str],
    listeners: Vec<SocketAddr>,
    roots: Option<RootCertStore>,
) -> Arc<Client> {
    let answers: VecDeque<_> = answers.iter().map(|answer| answer.to_vec()).collect();
    let answers = Mutex::new(answers);
    let told: Resolver = Arc::new(move |_, _| Ok(answers.lock().unwrap().pop_front().unwrap()));
    let roots = roots.unwrap_or_else(RootCertStore::empty);
    let tls = OnceLock::from(Ok(trusting(Arc::new(roots))));
    let outside = Outside::with(listeners, told, tls).unwrap();
    let private = private.iter().map(|range| range.parse().unwrap()).collect();
    let reach = Reach { private, ..Reach::default() };
    Client::new("h".into(), reach, Vec::new(), outside)
}

async fn get(client: &Arc<Client>, url: &str) -> Result<Response<WasiBody>, Failure> {
    let target = Target::of(&url.parse().unwrap()).unwrap();
    let body = Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync();
    let request = Request::get("/v1").header("host", target.authority()).body(body).unwrap();
    client.clone().send(target, request, Times::asked(None)).await
}

async fn text(response: Response<WasiBody>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

/// A certificate authority, and a server's TLS for a name that it vouches for.
fn authority(name: &str) -> (RootCertStore, TlsAcceptor) {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    let cert = params.signed_by(&key, &issuer).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(issuer.der().clone()).unwrap();
    (roots, acceptor(cert.der().to_vec(), &key))
}

fn acceptor(cert: Vec<u8>, key: &KeyPair) -> TlsAcceptor {
    let key = key.serialize_der().try_into().unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.into()], key)
        .unwrap();
    Arc::new(config).into()
}

#[tokio::test]
async fn a_name_is_asked_for_once_and_leads_to_what_was_checked() {
    let mut server = Server::start(OK, None).await;
    // A second lookup would find no answer.
    let client = client(&[&[server.address]]);
    let url = server.at("http", "api.example.com");
    assert_eq!(&*text(get(&client, &url).await.unwrap()).await, b"ok");
    assert_eq!(server.next().await, Seen::Connected(None));
    let host = format!("host: api.example.com:{}", server.address.port());
    assert_eq!(server.next().await, Seen::Head(vec!["GET /v1 HTTP/1.1".to_owned(), host]));
}

#[tokio::test]
async fn a_name_that_comes_to_mean_another_address_is_checked_again() {
    let mut server = Server::start(BYE, None).await;
    let inside: SocketAddr = "10.0.0.1:80".parse().unwrap();
    let client = client(&[&[server.address], &[inside]]);
    let url = server.at("http", "rebound.example.com");
    assert_eq!(get(&client, &url).await.unwrap().status(), 200);
    assert_eq!(server.next().await, Seen::Connected(None));
    assert!(matches!(server.next().await, Seen::Head(_)));
    assert_eq!(server.next().await, Seen::Closed);
    let refused = get(&client, &url).await.unwrap_err();
    assert!(matches!(refused, Failure::NotPublic(it) if it.address == inside.ip()), "{refused}");
}

#[tokio::test]
async fn of_several_addresses_only_good_ones_are_connected_to() {
    let mut server = Server::start(OK, None).await;
    let at = |ip: [u8; 4]| SocketAddr::from((ip, server.address.port()));
    // 127.0.0.1 is where the server is, and would answer.
    let private = ["127.0.0.2/32"];
    let one = client_with(&[&[at([127, 0, 0, 1]), at([127, 0, 0, 2])]], &private, Vec::new(), None);
    let url = server.at("http", "api.example.com");
    assert!(matches!(get(&one, &url).await, Err(Failure::Unreachable(_))));
    let none = client_with(&[&[at([127, 0, 0, 1])]], &private, Vec::new(), None);
    assert!(matches!(get(&none, &url).await, Err(Failure::NotPublic(_))));
    let nowhere = client(&[&[]]);
    assert!(matches!(get(&nowhere, &url).await, Err(Failure::Unreachable(_))));
    assert!(server.seen.try_recv().is_err());
}

#[tokio::test]
async fn an_address_that_is_no_good_is_passed_over() {
    let server = Server::start(OK, None).await;
    let at = |ip: [u8; 4]| SocketAddr::from((ip, server.address.port()));
    let url = server.at("http", "api.example.com");
    // One may not be reached; at the other nobody listens.
    for bad in [[10, 0, 0, 1], [127, 0, 0, 2]] {
        let client = client(&[&[at(bad), server.address]]);
        assert_eq!(get(&client, &url).await.unwrap().status(), 200, "{bad:?}");
    }
}

#[tokio::test]
async fn slow_look_ups_hold_up_their_own_handler_alone() {
    let server = Server::start(OK, None).await;
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let (address, gate) = (server.address, Mutex::new(gate));
    let (begin, mut begun) = mpsc::unbounded_channel();
    let resolver: Resolver = Arc::new(move |host, _| {
        if host == "slow.example.com" {
            begin.send(()).unwrap();
            let _released = gate.lock().unwrap().recv();
        }
        Ok(vec![address])
    });
    let outside = Outside::with(Vec::new(), resolver, OnceLock::new()).unwrap();
    let private = vec!["127.0.0.0/8".parse().unwrap()];
    let reach = Reach { private, ..Reach::default() };
    let client = || Client::new("h".into(), reach.clone(), Vec::new(), outside.clone());
    let (slow, other) = (client(), client());
    let url = server.at("http", "slow.example.com");
    for _ in 0..200 {
        let (slow, url) = (slow.clone(), url.clone());
        tokio::spawn(async move { get(&slow, &url).await.map(drop) });
    }
    begun.recv().await.unwrap();
    let url = server.at("http", "api.example.com");
    assert_eq!(get(&other, &url).await.unwrap().status(), 200);
    drop(release);
}

#[tokio::test]
async fn hookyards_own_listeners_are_reached_by_no_grant() {
    let mut server = Server::start(OK, None).await;
    let anywhere = SocketAddr::from(([0, 0, 0, 0], server.address.port()));
    for listener in [server.address, anywhere] {
        let all = ["0.0.0.0/0", "::/0"];
        let client = client_with(&[&[server.address]], &all, vec![listener], None);
        for host in ["api.example.com", "127.0.0.1", "[::ffff:127.0.0.1]", "0.0.0.0"] {
            let url = server.at("http", host);
            let refused = get(&client, &url).await;
            assert!(matches!(refused, Err(Failure::Own)), "{url} {:?}", refused.map(|_| ()));
        }
    }
    assert!(server.seen.try_recv().is_err());
}

#[tokio::test]
async fn tls_is_spoken_with_whom_the_name_says() {
    let (roots, tls) = authority("api.example.com");
    let mut server = Server::start(OK, Some(tls)).await;
    let address = server.address;
    let with = |roots| client_with(&[&[address]], &["127.0.0.0/8"], Vec::new(), roots);
    let right = get(&with(Some(roots.clone())), &server.at("https", "api.example.com")).await;
    assert_eq!(&*text(right.unwrap()).await, b"ok");
    assert_eq!(server.next().await, Seen::Connected(Some("api.example.com".to_owned())));
    for (roots, host) in [
        (Some(roots.clone()), "evil.example.com"),
        (Some(roots), "127.0.0.1"),
        (Some(authority("api.example.com").0), "api.example.com"),
        (None, "api.example.com"),
    ] {
        let failure = get(&with(roots), &server.at("https", host)).await.unwrap_err();
        assert!(matches!(failure.code(), Error::TlsCertificateError), "{host} {failure}");
    }
    let plain = Server::start(OK, None).await;
    let failure = get(&client(&[&[plain.address]]), &plain.at("https", "a.dev")).await.unwrap_err();
    assert!(matches!(failure.code(), Error::TlsProtocolError), "{failure}");
    let own = generate_simple_self_signed(["a.dev".to_owned()]).unwrap();
    let tls = acceptor(own.cert.der().to_vec(), &own.signing_key);
    let alone = Server::start(OK, Some(tls)).await;
    let failure = get(&client(&[&[alone.address]]), &alone.at("https", "a.dev")).await.unwrap_err();
    assert!(matches!(failure.code(), Error::TlsCertificateError), "{failure}");
}

#[tokio::test]
async fn a_connection_is_used_again_by_its_own_handler_alone() {
    let mut server = Server::start(OK, None).await;
    let (one, other) = (client(&[&[server.address]]), client(&[&[server.address]]));
    let url = server.at("http", "api.example.com");
    for n in 0..3 {
        assert_eq!(&*text(get(&one, &url).await.unwrap()).await, b"ok");
        one.rests().await;
        if n == 0 {
            assert_eq!(server.next().await, Seen::Connected(None));
        }
        assert!(matches!(server.next().await, Seen::Head(_)));
    }
    assert_eq!(&*text(get(&other, &url).await.unwrap()).await, b"ok");
    assert_eq!(server.next().await, Seen::Connected(None));
    assert!(matches!(server.next().await, Seen::Head(_)));
    drop((one, other));
    assert_eq!([server.next().await, server.next().await], [Seen::Closed, Seen::Closed]);
}

#[tokio::test]
async fn a_connection_that_the_other_side_closed_fails_no_request() {
    let mut server = Server::start(BYE, None).await;
    let client = client(&[&[server.address], &[server.address], &[server.address]]);
    for _ in 0..3 {
        let url = server.at("http", "api.example.com");
        assert_eq!(&*text(get(&client, &url).await.unwrap()).await, b"bye");
        assert_eq!(server.next().await, Seen::Connected(None));
        assert!(matches!(server.next().await, Seen::Head(_)));
        assert_eq!(server.next().await, Seen::Closed);
    }
}

#[tokio::test]
async fn a_response_that_is_let_go_frees_its_connection() {
    const ENDLESS: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nsome";
    let mut server = Server::start(ENDLESS, None).await;
    let client = client(&[&[server.address]]);
    let response = get(&client, &server.at("http", "api.example.com")).await.unwrap();
    assert_eq!(server.next().await, Seen::Connected(None));
    assert!(matches!(server.next().await, Seen::Head(_)));
    drop(response);
    assert_eq!(server.next().await, Seen::Closed);
}

#[tokio::test]
async fn a_request_that_is_given_up_leaves_nothing_behind() {
    let mut server = Server::start(b"", None).await;
    let client = client(&[&[server.address]]);
    let url = server.at("http", "api.example.com");
    let asking = tokio::spawn(async move { get(&client, &url).await.map(drop) });
    assert_eq!(server.next().await, Seen::Connected(None));
    assert!(matches!(server.next().await, Seen::Head(_)));
    asking.abort();
    assert_eq!(server.next().await, Seen::Closed);
}

#[tokio::test]
async fn a_redirection_is_a_response_like_any_other() {
    const ELSEWHERE: &[u8] =
        b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n";
    let server = Server::start(ELSEWHERE, None).await;
    let client = client(&[&[server.address]]);
    let response = get(&client, &server.at("http", "api.example.com")).await.unwrap();
    assert_eq!(response.status(), 302);
    assert_eq!(response.headers()["location"], "http://169.254.169.254/");
}

#[tokio::test]
async fn a_head_without_an_end_is_no_response() {
    let endless: &'static [u8] =
        [&b"HTTP/1.1 200 OK\r\nx: "[..], &[b'a'; 200 << 10]].concat().leak();
    let server = Server::start(endless, None).await;
    let client = client(&[&[server.address]]);
    let failure = get(&client, &server.at("http", "api.example.com")).await.unwrap_err();
    assert!(matches!(failure.code(), Error::HttpProtocolError), "{failure}");
}
