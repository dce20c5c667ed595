//! Bodies over real connections; the finer points are in `body`'s own tests.

use super::*;

#[tokio::test]
async fn a_body_over_the_limit_is_refused_with_and_without_a_length() {
    let server = Server::start(Limits::DEFAULT).await;
    let counted = |length: usize| format!("Content-Length: {length}\r\n\r\n{}", "x".repeat(length));
    let chunked = |length: usize| {
        format!(
            "Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{}\r\n0\r\n\r\n",
            "x".repeat(length)
        )
    };
    for (rest, expected) in [
        (counted(BODY_LIMIT), 200),
        (counted(BODY_LIMIT + 1), 413),
        (chunked(BODY_LIMIT), 200),
        (chunked(BODY_LIMIT + 1), 413),
    ] {
        let mut client = server.connect().await;
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{rest}")).await;
        let answer = client.answer().await;
        assert_eq!(code(&answer), expected);
    }
}

#[tokio::test]
async fn a_promise_over_the_limit_is_refused_before_it_is_kept() {
    let server = Server::start(Limits::DEFAULT).await;
    let mut client = server.connect().await;
    let promised = BODY_LIMIT + 1;
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {promised}\r\n\r\n")).await;
    let answer = client.answer().await;
    assert_eq!(code(&answer), 413);
    assert!(closes(&answer));
}

#[tokio::test]
async fn a_body_that_stays_away_is_given_up() {
    let server = Server::start(Limits::DEFAULT).await;
    let mut client = server.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell").await;
    let answer = client.answer().await;
    assert_eq!(code(&answer), 408);
    assert!(closes(&answer));
    assert_eq!(client.rest().await, b"");
}
