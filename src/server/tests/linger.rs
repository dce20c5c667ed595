//! Answers that come before the request is complete.

use super::*;

fn early(length: usize) -> String {
    format!("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}

#[tokio::test]
async fn a_sender_that_is_still_sending_can_read_the_answer() {
    let server = Server::start(Limits::DEFAULT).await;
    let length = 32 * 1024 * 1024;
    let mut client = server.connect().await;
    client.send(early(length)).await;
    client.send(vec![b'x'; length]).await;
    let answer = client.answer().await;
    assert_eq!(code(&answer), 401);
    assert!(closes(&answer));
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn an_endless_sender_is_cut() {
    let server = Server::start(Limits::DEFAULT).await;
    let mut client = server.connect().await;
    client.send(early(usize::MAX / 2)).await;
    let piece = vec![b'x'; 1024 * 1024];
    soon(async { while client.0.write_all(&piece).await.is_ok() {} }).await;
}

#[tokio::test]
async fn a_sender_that_keeps_still_is_cut() {
    let server = Server::start(Limits::DEFAULT).await;
    let mut client = server.connect().await;
    client.send(early(10)).await;
    assert_eq!(client.status().await, 401);
    assert_eq!(client.rest().await, b"");
    // The drain ends with the lingering: it has nothing else to wait for.
    assert_eq!(soon(server.stop()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_refused_head_lingers_too() {
    let server = Server::start(Limits::DEFAULT).await;
    let mut client = server.connect().await;
    client.send("GET / HTTP/1.1\r\nX: ").await;
    let piece = vec![b'x'; 8 * 1024 * 1024];
    client.send(piece).await;
    assert_eq!(client.status().await, 431);
}

#[tokio::test]
async fn an_unread_body_that_is_there_costs_no_connection() {
    let server = Server::start(Limits::DEFAULT).await;
    let mut client = server.connect().await;
    for _ in 0..3 {
        client.send(early(5) + "hello").await;
        let answer = client.answer().await;
        assert_eq!(code(&answer), 401);
        assert!(!closes(&answer));
    }
}

#[tokio::test]
async fn the_body_is_asked_for_only_when_it_is_read() {
    let server = Server::start(Limits::DEFAULT).await;
    let head = |path| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
    };
    let mut client = server.connect().await;
    client.send(head("/early")).await;
    let answer = client.answer().await;
    assert_eq!(code(&answer), 401);
    assert!(closes(&answer));

    let mut client = server.connect().await;
    client.send(head("/")).await;
    assert_eq!(client.status().await, 100);
    client.send("hello").await;
    assert!(client.answer().await.ends_with("hello"));
}
