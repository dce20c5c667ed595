//! The ways in which a request may come over the wire.

use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::senders::{Sending, hotglue};
use crate::wire::Wire;
use crate::yard::{self, Answer, Yard};

const SECRET: &str = "a secret of the tests";

const SOURCES: &str = r#"
[sources.hotglue]
scheme = "hotglue"
body_limit = "1KiB"
secrets = [{ value = "a secret of the tests" }]
"#;

/// A body that no other number has.
fn body(number: usize) -> String {
    format!(r#"{{"status":"JOB_COMPLETED","number":{number}}}"#)
}

fn body_of(yard: &Yard, answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    let event = yard.event(answer.json()["id"].as_str().unwrap());
    event["body"].as_str().unwrap().to_owned()
}

#[test]
fn a_connection_serves_one_request_after_the_other() {
    let yard = Yard::start(SOURCES, &[]);
    let mut wire = Wire::to(yard.public());
    for number in 0..5 {
        wire.send(hotglue(SECRET, body(number)).bytes(""));
        assert_eq!(body_of(&yard, &wire.answer()), body(number));
        wire.send(hotglue("wrong", body(number)).bytes(""));
        assert_eq!(wire.answer().status, 401);
        wire.send("GET /hooks/hotglue HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(wire.answer().status, 405);
    }
    wire.send(hotglue(SECRET, body(0)).bytes("connection: close\r\n"));
    assert_eq!(wire.answer().header("connection"), Some("close"));
    assert_eq!(wire.rest(), "");
}

#[test]
fn requests_sent_ahead_are_answered_in_order() {
    let yard = Yard::start(SOURCES, &[]);
    let mut wire = Wire::to(yard.public());
    let requests = (0..10).map(|number| match number % 3 {
        2 => hotglue("wrong", body(number)).bytes(""),
        _ => hotglue(SECRET, body(number)).bytes(""),
    });
    wire.send(requests.collect::<Vec<_>>().concat());
    for number in 0..10 {
        let answer = wire.answer();
        match number % 3 {
            2 => assert_eq!(answer.status, 401),
            _ => assert_eq!(body_of(&yard, &answer), body(number)),
        }
    }
}

#[test]
fn a_body_may_come_in_chunks() {
    let yard = Yard::start(SOURCES, &[]);
    let mut wire = Wire::to(yard.public());
    for number in 0..2 {
        let sending = hotglue(SECRET, body(number));
        wire.send(sending.head("transfer-encoding: chunked\r\n\r\n"));
        for piece in body(number).as_bytes().chunks(7) {
            wire.send(format!("{:X};why=not\r\n", piece.len()));
            wire.send([piece, b"\r\n"].concat());
        }
        wire.send("0\r\nx-trailer: ignored\r\n\r\n");
        assert_eq!(body_of(&yard, &wire.answer()), body(number));
    }
    let wrong = hotglue("wrong", body(9));
    wire.send(wrong.head("transfer-encoding: chunked\r\n\r\n"));
    wire.send("2\r\n{}\r\n0\r\n\r\n");
    assert_eq!(wire.answer().status, 401);
}

#[test]
fn chunks_that_are_none_are_refused() {
    let yard = Yard::start(SOURCES, &[]);
    for chunks in
        ["x\r\n", "-1\r\n{}\r\n0\r\n\r\n", "2\r\n{}}\r\n0\r\n\r\n", "fffffffffffffffff\r\n"]
    {
        let head = hotglue(SECRET, "{}").head("transfer-encoding: chunked\r\n\r\n");
        let answer = yard.raw((head + chunks).as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400 "), "{chunks:?}: {answer}");
    }
}

#[test]
fn a_body_that_breaks_off_is_not_stored() {
    let yard = Yard::start(SOURCES, &[]);
    let whole = hotglue(SECRET, body(1)).bytes("");
    let mut wire = Wire::to(yard.public());
    wire.send(&whole[..whole.len() - 1]);
    drop(wire);
    let broken = r#"hookyard_requests_total{result="broken",source="hotglue"}"#;
    yard::wait("the broken request", || (yard.metric(broken) == 1.0).then_some(()));
    assert_eq!(yard.ask("/api/v1/events").json()["items"].as_array().unwrap().len(), 0);
}

#[test]
fn who_asks_before_sending_is_told_to_go_on_or_why_not() {
    let yard = Yard::start(SOURCES, &[]);
    let good = hotglue(SECRET, body(1));
    let mut wire = good.promise(&yard, body(1).len());
    wire.send(body(1));
    assert_eq!(body_of(&yard, &wire.answer()), body(1));

    let unsigned = good.clone().without("x-hub-signature");
    let elsewhere = Sending::new("/hooks/nobody", "");
    for (sending, length, status) in [(unsigned, 9, 401), (elsewhere, 9, 404), (good, 1025, 413)] {
        let mut wire = Wire::to(yard.public());
        let lines = format!("content-length: {length}\r\nexpect: 100-continue\r\n\r\n");
        wire.send(sending.head(&lines));
        let answer = wire.answer();
        assert_eq!((answer.status, answer.header("connection")), (status, Some("close")));
    }
}

/// Posts with HTTP/2 on one connection: all streams at once, each with its signature.
async fn http2_post<I>(stream: I, secrets: &[&str]) -> Vec<(StatusCode, Bytes)>
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(stream);
    let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let posts = secrets.iter().enumerate().map(|(number, secret)| {
        let (mut sender, body) = (sender.clone(), body(number));
        let request = Request::post("http://hooks/hooks/hotglue?by=h2")
            .header("x-hub-signature", yard::hotglue_signature(secret, body.as_bytes()))
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        async move {
            let answer = sender.send_request(request).await.unwrap();
            (answer.status(), answer.into_body().collect().await.unwrap().to_bytes())
        }
    });
    tokio::time::timeout(yard::PATIENCE, futures_util::future::join_all(posts)).await.unwrap()
}

fn stored_each(yard: &Yard, answers: &[(StatusCode, Bytes)]) {
    for (number, (status, answer)) in answers.iter().enumerate() {
        assert_eq!(*status, StatusCode::OK);
        let answer: serde_json::Value = serde_json::from_slice(answer).unwrap();
        let event = yard.event(answer["id"].as_str().unwrap());
        assert_eq!(event["body"], body(number));
        assert_eq!(event["attributes"]["query"], "by=h2");
    }
}

#[tokio::test]
async fn http2_is_spoken_with_whoever_begins_it() {
    let yard = Yard::start(SOURCES, &[]);
    let stream = tokio::net::TcpStream::connect(yard.public()).await.unwrap();
    stored_each(&yard, &http2_post(stream, &[SECRET; 32]).await);
    let stream = tokio::net::TcpStream::connect(yard.public()).await.unwrap();
    for (status, answer) in http2_post(stream, &["wrong", "wrong"]).await {
        assert_eq!((status.as_u16(), &*answer), (401, &br#"{"error":"unauthorized"}"#[..]));
    }
}

/// A yard that speaks TLS, and its certificate.
fn with_tls() -> (Yard, CertificateDer<'static>) {
    let mut yard =
        Yard::new(&format!("tls = {{ cert = \"cert.pem\", key = \"key.pem\" }}\n{SOURCES}"));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(yard.path("cert.pem"), made.cert.pem()).unwrap();
    fs::write(yard.path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    yard.run();
    (yard, made.cert.der().clone())
}

fn trusting(certificate: CertificateDer<'static>, protocol: &str) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.into()];
    Arc::new(config)
}

#[test]
fn tls_is_spoken_where_there_is_a_certificate() {
    let (yard, certificate) = with_tls();
    let config = trusting(certificate, "http/1.1");
    let tls = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    let mut wire = Wire::over(StreamOwned::new(tls, yard::connect(yard.public())));
    for number in 0..2 {
        wire.send(hotglue(SECRET, body(number)).bytes(""));
        assert_eq!(body_of(&yard, &wire.answer()), body(number));
    }
    wire.send(hotglue("wrong", body(2)).bytes(""));
    assert_eq!(wire.answer().status, 401);
    let mut plain: Wire<_> = Wire::to(yard.public());
    plain.send(hotglue(SECRET, body(3)).bytes(""));
    assert!(!plain.rest().contains("HTTP/1.1"));
}

#[tokio::test]
async fn tls_leads_to_http2_where_the_client_wants_it() {
    let (yard, certificate) = with_tls();
    let connector = tokio_rustls::TlsConnector::from(trusting(certificate, "h2"));
    let stream = tokio::net::TcpStream::connect(yard.public()).await.unwrap();
    let stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    stored_each(&yard, &http2_post(stream, &[SECRET; 3]).await);
}

#[test]
fn the_addresses_are_told_as_they_are_spoken() {
    let (yard, _certificate) = with_tls();
    let [public, admin] = [("public", "https", yard.public()), ("admin ", "http", yard.admin())]
        .map(|(side, scheme, address)| format!("{side} {scheme}://{address}"));
    assert_eq!(yard.announced(), [public, admin]);
}
