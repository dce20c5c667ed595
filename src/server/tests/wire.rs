use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;

const REQUEST: &str = "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
const TICK: Duration = Duration::from_millis(1);

fn wire<S>(stream: S) -> Wire<S> {
    Wire::new(stream, 1000, Arc::new(Activity::new()))
}

/// A wire on which so much of a request was read, and its peer.
async fn after(request: &str) -> (Wire<DuplexStream>, DuplexStream) {
    let (mut peer, stream) = tokio::io::duplex(1000);
    let mut wire = wire(stream);
    peer.write_all(request.as_bytes()).await.unwrap();
    let mut read = vec![0; request.len()];
    wire.read_exact(&mut read).await.unwrap();
    assert_eq!(read, request.as_bytes());
    (wire, peer)
}

#[tokio::test]
async fn between_requests_it_closes_at_once() {
    for requests in ["", REQUEST] {
        let (mut wire, _peer) = after(requests).await;
        assert!(wire.shutdown().now_or_never().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn within_a_request_it_reads_on_until_the_peer_closes() {
    let (mut wire, mut peer) = after(&REQUEST[..20]).await;
    assert!(wire.shutdown().now_or_never().is_none());
    assert_eq!(peer.read(&mut [0]).await.unwrap(), 0, "it has said that it is done");
    for _ in 0..10 {
        // More than fits in between: somebody reads it.
        peer.write_all(&[b'x'; 1000]).await.unwrap();
        assert!(wire.shutdown().now_or_never().is_none());
    }
    drop(peer);
    assert!(wire.shutdown().now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn it_does_not_wait_longer_than_it_may() {
    let (mut wire, _peer) = after(&REQUEST[..20]).await;
    assert!(wire.shutdown().now_or_never().is_none());
    tokio::time::advance(LINGER_TIME - TICK).await;
    assert!(wire.shutdown().now_or_never().is_none());
    tokio::time::advance(TICK * 2).await;
    assert!(wire.shutdown().now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn it_does_not_read_more_than_it_may() {
    const MORE: u64 = 1;
    let endless = tokio::io::repeat(b'x').take(1 + LINGER_BYTES as u64 + MORE);
    let mut wire = wire(tokio::io::join(endless, tokio::io::sink()));
    wire.read_exact(&mut [0]).await.unwrap();
    wire.shutdown().await.unwrap();
    assert_eq!(wire.stream.reader().limit(), MORE);
}

#[tokio::test]
async fn instead_of_a_refused_header_comes_the_refusal_and_the_end() {
    let (good, bad) = ("GET / HTTP/1.1\r\nContent-Length: 0\r\n", "Content-Length: 0\r\n\r\n");
    let whole = [good, bad].concat();
    for cut in 0..whole.len() {
        for room in [1, 3, 1000] {
            let (one, two) = whole.split_at(cut);
            let (mut peer, stream) = tokio::io::duplex(1000);
            let mut wire = wire(stream).take(room);
            peer.write_all(one.as_bytes()).await.unwrap();
            let mut read = Vec::new();
            while read.len() < cut.min(good.len()) {
                wire.set_limit(room);
                wire.read_buf(&mut read).await.unwrap();
            }
            peer.write_all(two.as_bytes()).await.unwrap();
            loop {
                wire.set_limit(room);
                if wire.read_buf(&mut read).await.unwrap() == 0 {
                    break;
                }
            }
            let refused = read.strip_suffix(REFUSAL).expect("the refusal ends it");
            assert!(refused.starts_with(good.as_bytes()));
            assert!(whole.as_bytes().starts_with(refused));
        }
    }
}
