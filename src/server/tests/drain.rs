//! How the server stops.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::*;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A server whose requests wait for the gate; each tells when it began.
async fn gated(drain_timeout: Duration) -> (Server, Arc<Semaphore>, Arc<Semaphore>) {
    let (began, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (beginning, gated) = (Arc::clone(&began), Arc::clone(&gate));
    let server = Server::with(Limits::DEFAULT, None, drain_timeout, move |_| {
        beginning.add_permits(1);
        let gate = Arc::clone(&gated);
        async move {
            gate.acquire().await.unwrap().forget();
            status(StatusCode::OK)
        }
    })
    .await;
    (server, began, gate)
}

#[tokio::test]
async fn requests_under_way_are_finished() {
    let (server, began, gate) = gated(LONG).await;
    let address = server.address;
    let mut client = server.connect().await;
    client.send(GET).await;
    soon(began.acquire()).await.unwrap().forget();
    let done = server.stop();
    soon(async { while TcpStream::connect(address).await.is_ok() {} }).await;
    gate.add_permits(1);
    let answer = client.answer().await;
    assert_eq!(code(&answer), 200);
    assert!(closes(&answer));
    assert_eq!(client.rest().await, b"");
    assert_eq!(soon(done).await.unwrap(), 0);
}

#[tokio::test]
async fn connections_without_a_request_are_closed_at_once() {
    let (server, _, gate) = gated(100 * LONG).await;
    let mut used = server.connect().await;
    let mut fresh = server.connect().await;
    gate.add_permits(1);
    used.send(GET).await;
    assert_eq!(used.status().await, 200);
    assert_eq!(soon(server.stop()).await.unwrap(), 0);
    assert_eq!(used.rest().await, b"");
    assert_eq!(fresh.rest().await, b"");
}

#[tokio::test]
async fn requests_that_do_not_end_are_cut() {
    let (server, began, _gate) = gated(SHORT).await;
    let mut client = server.connect().await;
    client.send(GET).await;
    soon(began.acquire()).await.unwrap().forget();
    assert_eq!(soon(server.stop()).await.unwrap(), 1);
    assert_eq!(client.rest().await, b"");
}
