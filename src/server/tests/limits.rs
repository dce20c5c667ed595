//! How many connections there may be, and how long each may take.

use super::*;
use crate::server::ACCEPT_REST;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn timeouts(header_timeout: Duration, idle_timeout: Duration) -> Limits {
    Limits { header_timeout, idle_timeout, ..Limits::DEFAULT }
}

#[tokio::test]
async fn connections_over_the_limit_are_closed() {
    let server = Server::start(Limits { connections: 2, ..Limits::DEFAULT }).await;
    let mut open = [server.connect().await, server.connect().await];
    for client in &mut open {
        client.send(GET).await;
        assert_eq!(client.status().await, 200);
    }
    let mut third = server.connect().await;
    assert_eq!(third.rest().await, b"");

    let [first, mut second] = open;
    drop(first);
    soon(async {
        loop {
            let mut next = server.connect().await;
            let _ = next.0.write_all(GET.as_bytes()).await;
            if !next.rest_of_one().await.is_empty() {
                break;
            }
        }
    })
    .await;
    second.send(GET).await;
    assert_eq!(second.status().await, 200);
    assert!(server.refused.get() >= 1);
}

impl Client<TcpStream> {
    /// What comes first: some bytes, or the end.
    async fn rest_of_one(&mut self) -> Vec<u8> {
        let mut some = [0; 64];
        let read = soon(self.0.read(&mut some)).await.unwrap_or(0);
        some[..read].to_vec()
    }
}

/// Sends a byte now and then until the server has enough of it.
async fn trickle(client: &mut Client<TcpStream>) {
    let (mut from, mut to) = client.0.split();
    let sending = async {
        while to.write_all(b"x").await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    let ended = async {
        let mut rest = Vec::new();
        let _ = from.read_to_end(&mut rest).await;
        assert_eq!(rest, b"");
    };
    soon(async {
        tokio::select! { () = sending => {}, () = ended => {} }
    })
    .await;
}

#[tokio::test]
async fn a_slow_head_is_cut() {
    let server = Server::start(timeouts(SHORT, 100 * LONG)).await;
    for start in ["", "G", "GET / HTTP/1.1\r\nHost: a\r\nX: "] {
        let mut client = server.connect().await;
        client.send(start).await;
        trickle(&mut client).await;
    }
}

#[tokio::test]
async fn a_silent_connection_is_cut() {
    let server = Server::start(timeouts(SHORT, 100 * LONG)).await;
    for start in ["", "PRI * HTT", "GET / HTTP/1.1\r\nHost:"] {
        let mut client = server.connect().await;
        client.send(start).await;
        assert_eq!(client.rest().await, b"");
    }
}

#[tokio::test]
async fn a_slow_head_is_cut_on_a_connection_that_is_kept_alive() {
    let server = Server::start(timeouts(SHORT, 100 * LONG)).await;
    let mut client = server.connect().await;
    client.send(GET).await;
    assert_eq!(client.status().await, 200);
    // Longer than a head may take, without one having begun.
    tokio::time::sleep(2 * SHORT).await;
    client.send(GET).await;
    assert_eq!(client.status().await, 200);
    client.send("GET / HTTP/1.1\r\nX: ").await;
    trickle(&mut client).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = Server::start(timeouts(100 * LONG, SHORT)).await;
    let mut client = server.connect().await;
    for _ in 0..2 {
        client.send(GET).await;
        assert_eq!(client.status().await, 200);
    }
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn a_request_at_work_is_not_cut() {
    let server = Server::with(timeouts(SHORT, SHORT), None, LONG, |_| async {
        tokio::time::sleep(4 * SHORT).await;
        status(StatusCode::OK)
    })
    .await;
    let mut client = server.connect().await;
    // The half of a second head waits for the first answer.
    client.send([GET, "GET / HTTP/1.1\r\nX:"].concat()).await;
    assert_eq!(client.status().await, 200);
    client.send(" y\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.status().await, 200);
}

#[test]
fn accepting_goes_on_when_there_are_descriptors_again() {
    let test = module_path!().split_once("::").unwrap().1.to_owned() + "::out_of_descriptors";
    // Of its own, since the limit is one of the whole process.
    let child = std::process::Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" --exact \"$1\" --ignored"])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "needs a process of its own: the test above runs it"]
async fn out_of_descriptors() {
    let server = Server::start(Limits::DEFAULT).await;
    let null = || std::fs::File::open("/dev/null").ok();
    let mut all: Vec<_> = std::iter::from_fn(null).collect();
    all.pop();
    let mut client = server.connect().await;
    client.send(GET).await;
    // Time for the server to fail, more than once.
    tokio::time::sleep(3 * ACCEPT_REST).await;
    drop(all);
    assert_eq!(client.status().await, 200);
}
