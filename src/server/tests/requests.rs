//! What is answered, and what is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::*;
use crate::server::HEADER_FIELDS;

#[tokio::test]
async fn requests_follow_one_another_on_a_connection() {
    let server = Server::start(Limits::DEFAULT).await;
    let mut client = server.connect().await;
    let posted = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
    for request in [posted, chunked, posted] {
        client.send(request).await;
        let answer = client.answer().await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("hello"));
        assert!(!closes(&answer));
    }
    client.send([posted, chunked, posted].concat()).await;
    for _ in 0..3 {
        assert!(client.answer().await.ends_with("hello"));
    }
}

/// Requests that nobody must ever see.
const REFUSED: &[&str] = &[
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX: y\r\ncontent-length: 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nhello",
    "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
    "GET / HTTP/1.1\r\nHost: a\r\nX-Folded: one\r\n two\r\n\r\n",
    "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: y\rZ: z\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "GET / HTTP/3.7\r\nHost: a\r\n\r\n",
    "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03\r\n\r\n",
    "absolute nonsense\r\n\r\n",
];

#[tokio::test]
async fn ambiguous_requests_are_refused_however_they_arrive() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let server = Server::with(Limits::DEFAULT, None, LONG, move |_| {
        count.fetch_add(1, Relaxed);
        async { status(StatusCode::OK) }
    })
    .await;
    for request in REFUSED {
        let mut whole = server.connect().await;
        whole.send(request).await;
        let mut pieces = server.connect().await;
        for byte in request.bytes() {
            // The refusal may be faster than the rest of the request.
            let _ = pieces.0.write_all(&[byte]).await;
            tokio::task::yield_now().await;
        }
        for mut client in [whole, pieces] {
            let answer = client.answer().await;
            assert_eq!(code(&answer), 400, "{request:?}");
            assert!(closes(&answer), "{request:?}");
            assert_eq!(client.rest().await, b"", "{request:?}");
        }
    }
    assert_eq!(seen.load(Relaxed), 0);
}

#[tokio::test]
async fn a_refused_request_does_not_harm_the_one_before() {
    let server = Server::start(Limits::DEFAULT).await;
    for request in REFUSED {
        let mut client = server.connect().await;
        let good = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
        client.send([good, request].concat()).await;
        assert!(client.answer().await.ends_with("hello"), "{request:?}");
        assert_eq!(client.status().await, 400, "{request:?}");
        assert_eq!(client.rest().await, b"");
    }
}

#[tokio::test]
async fn bodies_may_look_like_anything() {
    let server = Server::start(Limits::DEFAULT).await;
    let mut client = server.connect().await;
    let body = "Content-Length: 1\r\nContent-Length: 1\r\n\r\nTransfer-Encoding: x\r\n\r\n";
    let length = body.len();
    let counted = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}");
    let chunked = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{length:X};a=b\r\n{body}\r\n0\r\nTrailer: x\r\n\r\n"
    );
    for request in [&counted, &chunked, &counted] {
        for byte in request.bytes() {
            client.send([byte]).await;
        }
        assert!(client.answer().await.ends_with(body));
    }
}

#[tokio::test]
async fn a_body_in_bad_chunks_is_refused() {
    let server = Server::start(Limits::DEFAULT).await;
    for chunks in [
        "x\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
    ] {
        let mut client = server.connect().await;
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.send([head, chunks].concat()).await;
        let answer = client.answer().await;
        assert_eq!(code(&answer), 400, "{chunks:?}");
        assert!(closes(&answer), "{chunks:?}");
        assert_eq!(client.rest().await, b"", "{chunks:?}");
    }
}

#[tokio::test]
async fn heads_have_a_longest_length() {
    let limits = Limits { header_bytes: 16 * 1024, ..Limits::DEFAULT };
    let server = Server::start(limits).await;
    let head = |length: usize| {
        let start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
        let filling = "x".repeat(length - start.len() - 4);
        format!("{start}{filling}\r\n\r\n")
    };
    for (length, expected) in [(16 * 1024, 200), (16 * 1024 + 1, 431), (100_000, 431)] {
        let mut client = server.connect().await;
        client.send(head(length)).await;
        let answer = client.answer().await;
        assert_eq!((length, code(&answer)), (length, expected));
        assert_eq!(closes(&answer), expected == 431);
    }
    let mut client = server.connect().await;
    client.send("GET / HTTP/1.1\r\nX: ").await;
    client.send([b'x'; 16 * 1024]).await;
    assert_eq!(client.status().await, 431, "it waits for no end");
}

#[tokio::test]
async fn heads_have_a_greatest_number_of_fields() {
    let server = Server::start(Limits::DEFAULT).await;
    for (fields, expected) in [(HEADER_FIELDS, 200), (HEADER_FIELDS + 1, 431)] {
        let mut client = server.connect().await;
        let others = "X: y\r\n".repeat(fields - 1);
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{others}\r\n")).await;
        assert_eq!(client.status().await, expected);
    }
}
